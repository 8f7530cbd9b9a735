import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startServer, type RunningServer } from '../../../serve/node/server.ts';
import { createRateLimiter, parseRateLimit, type RateVerdict } from '../../../serve/access/rate-limit.ts';
import { drawPicture, readProblem } from '../../contract/api-client.ts';
import { makeSharedFolder } from '../../support/temporary-folder.ts';
import { tinyArchitecture, writeTinyStore } from '../../support/tiny-model.ts';

describe('a limiter of 6 requests in a minute', () => {
  function makeLimiter() {
    const clock = { nowMs: 1000 };
    const limiter = createRateLimiter({ perMinute: 6, now: () => clock.nowMs });
    const take = (client: string) => limiter.take(client) as RateVerdict;
    return { clock, take };
  }

  test('lets a client ask 6 times at once, then once in 10 s', () => {
    const { clock, take } = makeLimiter();
    expect(Array.from({ length: 7 }, () => take('a').isAllowed)).toEqual([true, true, true, true, true, true, false]);
    expect(take('a').retryAfterSeconds).toBe(10);
    clock.nowMs += 9999;
    expect(take('a').isAllowed).toBe(false);
    clock.nowMs += 1;
    expect(take('a').isAllowed).toBe(true);
    expect(take('a').isAllowed).toBe(false);
    clock.nowMs += 60_000;
    expect(take('a').quota).toEqual({ limit: 6, remaining: 5, periodSeconds: 60, resetSeconds: 10 });
  });

  test('counts each client alone, and what was refused costs nothing', () => {
    const { take } = makeLimiter();
    for (let round = 0; round < 100; round++) take('a');
    expect(take('a')).toMatchObject({ isAllowed: false, retryAfterSeconds: 10, quota: { remaining: 0 } });
    expect(take('b')).toMatchObject({ isAllowed: true, quota: { remaining: 5 } });
  });

  test('keeps no more than some ten thousand clients, however many there are', () => {
    const { take } = makeLimiter();
    for (let round = 0; round < 6; round++) take('first');
    expect(take('first').isAllowed).toBe(false);
    for (let client = 0; client < 20_000; client++) take(String(client));
    // Forgotten: the price of a bound.
    expect(take('first').isAllowed).toBe(true);
  });
});

test.each(['0', '-1', '1.5', 'ten', '1000000'])('RATE_LIMIT=%s is refused', (text) => {
  expect(() => parseRateLimit(text)).toThrow(/RATE_LIMIT is ".*"; off, or the requests/);
});

describe('a server with RATE_LIMIT', () => {
  let server: RunningServer;

  beforeAll(async () => {
    const store = await makeSharedFolder();
    await writeTinyStore(store, { architecture: tinyArchitecture({ classes: 10 }) });
    const access = { requestsPerMinute: 3, addressHeader: 'x-forwarded-for' };
    const options = { host: '127.0.0.1', port: 0, store, page: 'web/dist', access };
    server = await startServer({ ...options, reportError: (error) => console.error(error) });
    await server.ready;
  });
  afterAll(() => server.close());

  const ask = (client: string, path = '/activations/layer1') =>
    fetch(`${server.url}${path}`, client === '' ? {} : { headers: { 'x-forwarded-for': client } });

  test('says what is left, and answers 429 with when to come back', async () => {
    const left: (string | null)[] = [];
    for (let round = 0; round < 3; round++) {
      const response = await ask('');
      expect(response.status).toBe(200);
      expect(response.headers.get('ratelimit-policy')).toBe('"default";q=3;w=60');
      left.push(/r=(\d+);/.exec(response.headers.get('ratelimit') ?? '')?.[1] ?? null);
      await response.arrayBuffer();
    }
    expect(left).toEqual(['2', '1', '0']);
    const refused = await ask('');
    const seconds = Number(refused.headers.get('retry-after'));
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThanOrEqual(20);
    expect(await readProblem(refused)).toMatchObject({
      status: 429,
      code: 'request/rate-limited',
      details: { retryAfterSeconds: seconds },
    });
    const body = await drawPicture({ width: 8, height: 8 });
    expect((await fetch(`${server.url}/classify`, { method: 'POST', body })).status).toBe(429);
  });

  test('never limits the page, health and what costs nothing', async () => {
    for (const path of ['/', '/healthz', '/readyz', '/v2/health/ready', '/metrics', '/models', '/docs']) {
      const response = await ask('', path);
      expect(response.status, path).toBe(200);
      expect(response.headers.has('ratelimit'), path).toBe(false);
      await response.arrayBuffer();
    }
    expect((await fetch(`${server.url}/classify`, { method: 'OPTIONS' })).status).toBe(204);
  });

  test.each([
    '/activations?model=shipped',
    '/activations/layer1',
    '/v2/models/resnet18/ready',
    '/v2/models/resnet18/versions/champion/ready',
  ])('limits %s, which may load a model', async (path) => {
    const response = await ask('192.0.2.77', path);
    expect(response.headers.get('ratelimit')).toMatch(/^"default";r=\d;/);
    await response.arrayBuffer();
  });

  test('behind a proxy, tells clients apart by the last address, and by networks for IPv6', async () => {
    const statusOf = async (client: string): Promise<number> => {
      const response = await ask(client);
      await response.arrayBuffer();
      return response.status;
    };
    for (const invented of ['1.1.1.1', '2.2.2.2', '3.3.3.3']) {
      expect(await statusOf(`${invented}, 192.0.2.1`)).toBe(200);
    }
    expect(await statusOf('4.4.4.4, 192.0.2.1')).toBe(429);
    for (const same of ['192.0.2.1:5000', '::ffff:192.0.2.1', '[::ffff:192.0.2.1]:80']) {
      expect(await statusOf(same), same).toBe(429);
    }
    expect(await statusOf('192.0.2.2')).toBe(200);
    for (const host of [':1', ':ffff:2', 'a:b:c:d']) expect(await statusOf(`2001:db8:0:7:${host}`)).toBe(200);
    expect(await statusOf('2001:db8:0:7::9')).toBe(429);
    expect(await statusOf('[2001:0DB8::7:0:0:0:9]:443')).toBe(429);
    expect(await statusOf('2001:db8:0:8::9')).toBe(200);
    // Names that are no addresses are those of one client, the connection's.
    const unnamed = [];
    for (const name of ['a', 'b', 'c', 'd', 'e']) unnamed.push(await statusOf(name));
    expect(unnamed.at(-1)).toBe(429);
  });
});
