/** The client against a real Node server with the shipped model, and what becomes of it without a server. */
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { startServer, type RunningServer } from '../../serve/node/server.ts';
import { ApiError, Client } from '../../shared/client/entry.ts';
import { findFreePort } from '../support/free-port.ts';
import { describeClient } from './client.ts';

let server: RunningServer;

beforeAll(async () => {
  const options = { host: '127.0.0.1', port: 0, store: 'no-such-folder', page: 'web/dist' };
  server = await startServer({ ...options, reportError: (error) => expect.fail(String(error)) });
  await server.ready;
});
afterAll(() => server.close());

describeClient('Node', () => ({ url: server.url, fetch: (request) => fetch(request) }));

describe('an evaluation that nobody reads to its end', () => {
  /** More than can be ready before somebody leaves. */
  async function* evaluateMany(options: { signal?: AbortSignal } = {}) {
    const picture = await readFile('web/public/samples/cat-ginger.png');
    const pictures = Array.from({ length: 500 }, () => ({ picture, label: 'cat' }));
    yield* new Client(server.url).evaluate({ pictures }, options);
  }

  /** The server takes four at once: a fifth is answered only when it has noticed that the others left. */
  const evaluateOne = async (): Promise<string | undefined> => {
    const picture = await readFile('web/public/samples/cat-ginger.png');
    let last: string | undefined;
    for await (const { type } of new Client(server.url).evaluate({ pictures: [{ picture, label: 'cat' }] }))
      last = type;
    return last;
  };

  test('ends on the server when the caller leaves the loop', async () => {
    for (let each = 0; each < 4; each++) {
      for await (const step of evaluateMany()) {
        expect(step).toMatchObject({ type: 'start', total: null });
        break;
      }
    }
    await expect.poll(() => evaluateOne().catch(String), { timeout: 20_000, interval: 100 }).toBe('result');
  });

  test('rejects with the reason of its signal', async () => {
    const controller = new AbortController();
    const reason = new Error('changed my mind');
    const readAll = async (): Promise<void> => {
      for await (const step of evaluateMany(controller)) if (step.type === 'progress') controller.abort(reason);
    };
    await expect(readAll()).rejects.toBe(reason);
    await expect.poll(() => evaluateOne().catch(String), { timeout: 20_000, interval: 100 }).toBe('result');
  });
});

/** A server that answers everything alike. */
async function answerWith(status: number, headers: Record<string, string>, body: string): Promise<Client> {
  const other = createServer((_request, response) => response.writeHead(status, headers).end(body));
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void other.close());
  const { port } = other.address() as AddressInfo;
  return new Client(`http://127.0.0.1:${port}/below/it`, { headers: { authorization: 'Bearer key' } });
}

const failureOf = (waiting: Promise<unknown>): Promise<unknown> =>
  waiting.then(
    () => undefined,
    (error: unknown) => error,
  );

describe('a failure of the client', () => {
  test('without a server is told apart from the caller’s abort', async () => {
    const client = new Client(`http://127.0.0.1:${await findFreePort()}`);
    const failure = await failureOf(client.listModels());
    expect(failure).toBeInstanceOf(ApiError);
    expect(failure).toMatchObject({ code: 'client/unreachable', status: 0, isTemporary: true });
  });

  test('has the id of the request, the code of a newer server, and when to come again', async () => {
    const problem = { type: '/docs#new', title: 'New', status: 503, code: 'server/new', detail: 'wait' };
    const headers = { 'x-request-id': 'abc-1', 'retry-after': '7' };
    const client = await answerWith(503, headers, JSON.stringify(problem));
    expect(await failureOf(client.classify(new Uint8Array(1)))).toMatchObject({
      code: 'server/new',
      title: 'New',
      detail: 'wait',
      requestId: 'abc-1',
      retryAfterSeconds: 7,
      isTemporary: true,
    });
  });

  test('says so when something else than this API answers', async () => {
    const proxy = await answerWith(502, { 'content-type': 'text/html' }, '<h1>Bad gateway</h1>');
    expect(await failureOf(proxy.listSamples())).toMatchObject({ code: 'client/refused', status: 502 });
    const page = await answerWith(200, { 'content-type': 'text/html' }, '<h1>Welcome</h1>');
    const unexpected = { code: 'client/unexpected-answer', status: 200, isTemporary: false };
    expect(await failureOf(page.listSamples())).toMatchObject(unexpected);
    expect(await failureOf(page.readActivation('layer1', { format: 'npy' }))).toMatchObject(unexpected);
    expect(await failureOf(page.evaluate({ records: new Uint8Array(1) }).next())).toMatchObject(unexpected);
  });

  test.each([
    ['a least value', { 'x-activation-min': 'none' }],
    ['an empty greatest value', { 'x-activation-max': '' }],
    ['columns', { 'x-activation-columns': 'NaN' }],
    ['channels', { 'x-activation-channels': 'all' }],
    ['no channels', { 'x-activation-channels': '' }],
    ['channels that count down', { 'x-activation-channels': '5-3' }],
  ])('says so when a picture of a layer comes with %s that cannot be read', async (_title, wrong) => {
    const right = {
      'x-activation-min': '-1',
      'x-activation-max': '2.5e-1',
      'x-activation-columns': '2',
      'x-activation-channels': '0,3-4',
    };
    const sound = await (await answerWith(200, right, '')).readActivation('layer1', { format: 'png' });
    expect(sound).toMatchObject({ min: -1, max: 0.25, columns: 2, channels: [0, 3, 4] });
    const client = await answerWith(200, { ...right, ...wrong }, '');
    const failure = await failureOf(client.readActivation('layer1', { format: 'png' }));
    expect(failure).toMatchObject({ code: 'client/unexpected-answer', status: 200 });
  });

  test('says so when a picture of an explanation comes with numbers that are none', async () => {
    const headers = Object.fromEntries(
      ['class', 'min', 'max', 'limit'].map((name) => [`x-explanation-${name}`, 'unknown']),
    );
    const failure = await failureOf((await answerWith(200, headers, '')).explain({ format: 'png' }));
    expect(failure).toMatchObject({ code: 'client/unexpected-answer', status: 200 });
  });

  test('is one of the client too where a header cannot be sent, and is not worth another try', async () => {
    const client = new Client(server.url, { headers: { authorization: 'Bearer a\nb' } });
    const failure = await failureOf(client.checkLiveness());
    expect(failure).toBeInstanceOf(ApiError);
    expect(failure).toMatchObject({ code: 'client/invalid-request', status: 0, isTemporary: false });
    expect(failure).toMatchObject({ detail: expect.stringMatching(/^nothing was sent: .*check the headers/s) });
  });

  test('is one of the client too where the caller’s own fetch throws before it waits', async () => {
    const cause = new Error('no binding');
    const client = new Client(server.url, {
      fetch: () => {
        throw cause;
      },
    });
    const failure = await failureOf(client.checkLiveness());
    expect(failure).toBeInstanceOf(ApiError);
    expect(failure).toMatchObject({ code: 'client/unreachable', cause });
  });

  test('tells that an evaluation was cut off before its result', async () => {
    const start = { type: 'start', model: { id: 'a', name: 'a', channel: null, seq: null, mode: 'fast' }, total: 3 };
    const client = await answerWith(200, {}, `${JSON.stringify(start)}\n`);
    const steps = client.evaluate({ records: new Uint8Array(1) });
    expect((await steps.next()).value).toEqual(start);
    expect(await failureOf(steps.next())).toMatchObject({ code: 'client/unreachable' });
  });
});

test('a client asks below the path of its server, with its headers', async () => {
  const requests: Request[] = [];
  const client = new Client('https://example.test/resnet', {
    headers: { authorization: 'Bearer key' },
    fetch: async (request) => {
      requests.push(request);
      return Response.json({ status: 'ok' });
    },
  });
  await client.checkLiveness();
  expect(requests[0]?.url).toBe('https://example.test/resnet/healthz');
  expect(requests[0]?.headers.get('authorization')).toBe('Bearer key');
});

test('a client reads the picture of a sample below the path of its server, and gives its headers to no other', async () => {
  const requests: Request[] = [];
  const client = new Client('https://example.test/resnet/', {
    headers: { authorization: 'Bearer key' },
    fetch: async (request) => {
      requests.push(request);
      return new Response('file');
    },
  });
  expect(await (await client.readSamplePicture({ url: '/samples/cat.png' })).text()).toBe('file');
  expect(requests.map(({ url }) => url)).toEqual(['https://example.test/resnet/samples/cat.png']);
  for (const url of [
    'https://other.test/samples/cat.png',
    '///other.test/cat.png',
    '/\\\\other.test/cat.png',
    'data:,a',
  ]) {
    const failure = await failureOf(client.readSamplePicture({ url }));
    expect(failure).toMatchObject({ code: 'client/invalid-request', status: 0 });
  }
  expect(requests.length).toBe(1);
});
