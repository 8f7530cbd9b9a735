/** What holds for every request, whatever its route, and what an operator may switch on. */
import { describe, expect, test } from 'vitest';
import { drawPicture, readProblem, toBase64, type Send } from './api-client.ts';

/** Settings as an operator gives them. */
export interface GuardSettings {
  CORS_ORIGINS?: string;
  API_KEYS?: string;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const KEY = 'a-key-of-24-characters-x';
const OTHER_KEY = 'another-key-of-30-characters--';

/** `startWith` gives a server with these settings; it is the caller's to end. */
export function describeGuard(platform: string, startWith: (settings: GuardSettings) => Promise<Send>): void {
  describe(`every request on ${platform}`, () => {
    test('has an id of its own, in the header of the answer', async () => {
      const send = await startWith({});
      const ids = await Promise.all(
        ['/healthz', '/', '/favicon.svg', '/nothing', '/v2/nothing', '/openapi.json'].map(async (path) => {
          const response = await send(path);
          await response.arrayBuffer();
          return response.headers.get('x-request-id') ?? '';
        }),
      );
      for (const id of ids) expect(id).toMatch(UUID);
      expect(new Set(ids).size).toBe(ids.length);
    });

    test('keeps the id that a sane caller gives it, in the header and in a problem', async () => {
      const send = await startWith({});
      const headers = { 'x-request-id': 'trace-17_a=' };
      const answer = await send('/healthz', { headers });
      expect(answer.headers.get('x-request-id')).toBe('trace-17_a=');
      expect(await answer.json()).toEqual({ status: 'ok' });
      const problem = await readProblem(await send('/activations/nowhere', { headers }));
      expect(problem.requestId).toBe('trace-17_a=');
    });

    test.each(['<script>alert(1)</script>', 'a b', 'x'.repeat(129), 'ä'])(
      'gets another id than %j, which is not repeated',
      async (id) => {
        const send = await startWith({});
        const response = await send('/nothing', { headers: { 'x-request-id': id } });
        expect(response.headers.get('x-request-id')).toMatch(UUID);
        expect(await response.text()).not.toContain(id);
      },
    );

    test('names its id below /v2 in the header, and keeps the body of the protocol', async () => {
      const send = await startWith({});
      const response = await send('/v2/nothing', { headers: { 'x-request-id': 'mine' } });
      expect(response.headers.get('x-request-id')).toBe('mine');
      expect(Object.keys((await response.json()) as object)).toEqual(['error']);
    });

    test('is answered with safe headers and without a word about the software', async () => {
      const send = await startWith({});
      for (const path of ['/', '/docs', '/favicon.svg', '/healthz', '/openapi.json', '/nothing', '/v2', '/samples']) {
        const response = await send(path);
        await response.arrayBuffer();
        const headers = Object.fromEntries(response.headers);
        expect(headers, path).toMatchObject({
          'x-content-type-options': 'nosniff',
          'referrer-policy': 'no-referrer',
          'content-security-policy': expect.stringMatching(/^default-src 'none';.*frame-ancestors 'none'/),
        });
        expect(headers['content-security-policy'], path).not.toMatch(/unsafe|\*|https?:/);
        for (const name of ['server', 'x-powered-by', 'via']) expect(headers, path).not.toHaveProperty(name);
      }
    });

    test('is never repeated in HTML', async () => {
      const send = await startWith({});
      const evil = '/docs?%3Cscript%3Ealert(1)%3C/script%3E';
      const text = await (await send(evil)).text();
      expect(text).toContain('<!doctype html>');
      expect(text).not.toMatch(/alert/);
      const missing = await send('/%3Cscript%3Ealert(1)%3C/script%3E');
      expect(missing.headers.get('content-type')).toBe('application/problem+json');
      await missing.arrayBuffer();
    });
  });

  describe(`CORS_ORIGINS on ${platform}`, () => {
    const LISTED = 'https://a.example';
    const headersOf = async (send: Send, origin: string, init: RequestInit = {}, path = '/healthz') => {
      const response = await send(path, { ...init, headers: { origin } });
      await response.arrayBuffer();
      return Object.fromEntries(response.headers);
    };

    test('by default, pages of all origins may read answers', async () => {
      const headers = await headersOf(await startWith({}), 'https://anybody.example');
      expect(headers['access-control-allow-origin']).toBe('*');
      expect(headers['vary'] ?? '').not.toMatch(/origin/i);
      expect(headers).not.toHaveProperty('access-control-allow-credentials');
    });

    test('with a list, pages of listed origins may, and caches keep their answers apart', async () => {
      const send = await startWith({ CORS_ORIGINS: `${LISTED}, https://b.example:8443` });
      for (const origin of [LISTED, 'https://b.example:8443']) {
        const headers = await headersOf(send, origin);
        expect(headers['access-control-allow-origin']).toBe(origin);
        expect(headers['access-control-expose-headers']).toContain('x-request-id');
        expect(headers['vary']).toMatch(/origin/i);
      }
      const preflight = await headersOf(send, LISTED, { method: 'OPTIONS' }, '/classify');
      expect(preflight['access-control-allow-methods']).toBe('GET,HEAD,POST');
      expect(preflight['access-control-allow-headers']).toContain('authorization');
    });

    test.each([
      'https://c.example',
      'http://a.example',
      'https://a.example.evil.example',
      'https://a.example:444',
      'null',
    ])('with a list, %s is not allowed and not repeated', async (origin) => {
      const send = await startWith({ CORS_ORIGINS: LISTED });
      for (const [path, method] of [
        ['/healthz', 'GET'],
        ['/nothing', 'GET'],
        ['/', 'GET'],
        ['/classify', 'OPTIONS'],
      ] as const) {
        const headers = await headersOf(send, origin, { method }, path);
        expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
        expect(headers['vary']).toMatch(/origin/i);
        expect(JSON.stringify(headers)).not.toContain(origin);
      }
    });

    test('with none, no page of another origin may', async () => {
      const headers = await headersOf(await startWith({ CORS_ORIGINS: 'none' }), LISTED);
      expect(headers).not.toHaveProperty('access-control-allow-origin');
    });
  });

  describe(`API_KEYS on ${platform}`, () => {
    const evaluate = async (send: Send, authorization?: string) =>
      send('/evaluate', {
        method: 'POST',
        body: JSON.stringify({ image: toBase64(await drawPicture({ width: 8, height: 8 })), label: 0 }),
        headers: {
          'content-type': 'application/x-ndjson',
          ...(authorization === undefined ? {} : { authorization }),
        },
      });

    test('without keys, everybody may evaluate', async () => {
      const response = await evaluate(await startWith({}));
      expect(response.status).toBe(200);
      await response.arrayBuffer();
    });

    test('with keys, a caller without one is told how to send it', async () => {
      const response = await evaluate(await startWith({ API_KEYS: KEY }));
      expect(response.headers.get('www-authenticate')).toBe('Bearer realm="evaluate"');
      const problem = await readProblem(response);
      expect(problem).toMatchObject({ status: 401, code: 'request/unauthorized' });
      expect(problem.detail).toContain('Authorization: Bearer KEY');
      expect(JSON.stringify(problem)).not.toContain(KEY);
    });

    test.each([KEY.slice(0, -1), `${KEY}x`, KEY.toUpperCase(), 'x', `${KEY},${OTHER_KEY}`])(
      'with keys, %j is not one of them',
      async (key) => {
        const response = await evaluate(await startWith({ API_KEYS: `${KEY},${OTHER_KEY}` }), `Bearer ${key}`);
        expect(response.headers.get('www-authenticate')).toBe('Bearer realm="evaluate", error="invalid_token"');
        expect((await readProblem(response)).code).toBe('request/unauthorized');
      },
    );

    test('with keys, another scheme is none', async () => {
      const response = await evaluate(await startWith({ API_KEYS: KEY }), `Basic ${KEY}`);
      expect((await readProblem(response)).code).toBe('request/unauthorized');
    });

    test.each([KEY, OTHER_KEY])('with keys, whoever has %s may evaluate', async (key) => {
      const response = await evaluate(await startWith({ API_KEYS: `${KEY}, ${OTHER_KEY}` }), `bearer ${key}`);
      const text = await response.text();
      expect(response.status, text).toBe(200);
      expect(text).toContain('"type":"result"');
    });

    test('with keys, everything else needs none', async () => {
      const send = await startWith({ API_KEYS: KEY });
      const picture = await drawPicture({ width: 8, height: 8 });
      const response = await send('/classify', { method: 'POST', body: picture });
      expect(response.status).toBe(200);
      await response.arrayBuffer();
      expect((await send('/evaluate', { method: 'OPTIONS' })).status).toBe(204);
    });
  });

  describe(`the OpenAPI document on ${platform}`, () => {
    test('has the problems of what stands before the routes, with their headers', async () => {
      const send = await startWith({});
      const document = (await (await send('/openapi.json')).json()) as {
        paths: Record<string, Record<string, Operation>>;
        components: { securitySchemes: object; headers: object };
      };
      for (const [path, operations] of Object.entries(document.paths)) {
        for (const [method, { responses }] of Object.entries(operations)) {
          const place = `${method} ${path}`;
          expect(responses['414']?.description, place).toBe('request/url-too-long');
          if (method === 'post') expect(responses['408']?.description, place).toBe('request/timeout');
          for (const { headers } of Object.values(responses)) expect(headers, place).toHaveProperty('x-request-id');
          const types = Object.keys(responses['414']?.content ?? {});
          expect(types, place).toEqual([path.startsWith('/v2') ? 'application/json' : 'application/problem+json']);
        }
      }
      const { responses, security } = document.paths['/evaluate']?.['post'] ?? expect.fail('no /evaluate');
      expect(security).toEqual([{}, { apiKey: [] }]);
      expect(document.components.securitySchemes).toMatchObject({ apiKey: { type: 'http', scheme: 'bearer' } });
      expect(responses['401']?.headers).toHaveProperty('www-authenticate');
      for (const status of ['429', '503']) expect(responses[status]?.headers).toHaveProperty('retry-after');
      const infer = document.paths['/v2/models/{name}/infer']?.['post']?.responses ?? {};
      expect(infer['429']?.content).toHaveProperty('application/json');
      expect(document.paths['/healthz']?.['get']?.responses).not.toHaveProperty('429');
    });
  });
}

interface Operation {
  security?: object[];
  responses: Record<string, { description: string; headers: object; content?: object }>;
}
