/** The contract of /v2 against a real Node server with a tiny model, and a server that has no model. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createApp } from '../../serve/app.ts';
import { startServer, type RunningServer } from '../../serve/node/server.ts';
import { createBrokenModels } from '../support/broken-models.ts';
import { makeSharedFolder } from '../support/temporary-folder.ts';
import { tinyArchitecture, writeTinyStore } from '../support/tiny-model.ts';
import type { Send } from './api-client.ts';
import { describeOip } from './oip.ts';

let server: RunningServer;
const logged: unknown[] = [];

beforeAll(async () => {
  const store = await makeSharedFolder();
  await writeTinyStore(store, { architecture: tinyArchitecture({ classes: 10 }) });
  const options = { host: '127.0.0.1', port: 0, store, page: 'web/dist' };
  server = await startServer({ ...options, reportError: (error) => logged.push(error) });
  await server.ready;
});
afterAll(() => server.close());

const send: Send = (path, init) => fetch(new URL(path, server.url), init);

describeOip('Node', send);

test('the server has had nothing to report in all this', () => {
  expect(logged).toEqual([]);
});

test.each(['/v2/health/ready', '/v2/models/resnet18/ready', '/v2/models/resnet18', '/v2/models/resnet18/infer'])(
  '%s of a server without a model says that it is not ready, and when to come back',
  async (path) => {
    const unused = () => Promise.reject(new Error('no files here'));
    const app = createApp({
      models: createBrokenModels(unused),
      decoder: { use: unused, decode: unused },
      samples: { list: unused, read: unused },
      keepAlive: () => undefined,
      reportError: () => undefined,
      page: { answer: unused },
      evaluation: { images: 1, bytes: 1, running: 1 },
    });
    const init = path.endsWith('/infer') ? { method: 'POST', body: '{"inputs":[]}' } : {};
    const response = await app.request(path, init);
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('1');
    expect(await response.json()).toEqual({ error: expect.stringMatching(/loaded/) });
    const live = await app.request('/v2/health/live');
    expect(await live.json()).toEqual({ live: true });
  },
);
