/** The API contract against a real Node server over HTTP, with a tiny model, and what only Node has. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { memory } from '@tensorflow/tfjs-core';
import request from 'supertest';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApp } from '../../serve/app.ts';
import { startServer, type RunningServer } from '../../serve/node/server.ts';
import { batchClassificationSchema, classificationSchema } from '../../shared/api.ts';
import { createBrokenModels } from '../support/broken-models.ts';
import { makeSharedFolder } from '../support/temporary-folder.ts';
import { measureTinyModel } from '../support/tiny-evaluation.ts';
import { tinyArchitecture, writeTinyStore } from '../support/tiny-model.ts';
import { describeApiErrors } from './api-errors.ts';
import { classify, drawPicture, type Send } from './api-client.ts';
import { describeApi } from './api.ts';
import { describeEvaluateApi } from './api-evaluate.ts';
import { describeEvaluationApi } from './api-evaluation.ts';
import { describeExplain } from './explain.ts';

let server: RunningServer;
const logged: unknown[] = [];

beforeAll(async () => {
  const store = await makeSharedFolder();
  // Ten classes, as the samples have, and stages of the usual names.
  const { modelId } = await writeTinyStore(store, { architecture: tinyArchitecture({ classes: 10 }) });
  await measureTinyModel(join(store, modelId), { robustnessImages: 5 });
  server = await startServer({
    host: '127.0.0.1',
    port: 0,
    store,
    page: 'web/dist',
    reportError: (error) => logged.push(error),
  });
  await server.ready;
});
afterAll(() => server.close());

const send: Send = (path, init) => fetch(new URL(path, server.url), init);

/** Over a real connection nobody would be left to read the answer, so the app is given a body that fails. */
async function sendBroken(): Promise<Response> {
  const unused = () => Promise.reject(new Error('a broken body needs nothing else'));
  const app = createApp({
    models: createBrokenModels(unused),
    decoder: { use: unused, decode: unused },
    evaluation: { images: 1, bytes: 1, running: 1 },
    samples: { list: unused, read: unused },
    keepAlive: () => undefined,
    reportError: (error) => logged.push(error),
    page: { answer: unused },
  });
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new Uint8Array(100)),
    pull: (controller) => controller.error(new Error('gone')),
  });
  const init: RequestInit & { duplex: 'half' } = { method: 'POST', body, duplex: 'half' };
  return app.fetch(new Request('http://app.test/classify', init));
}

describeApi('Node', send);
describeEvaluationApi('Node', send);
describeEvaluateApi('Node', send);
describeExplain('Node', send);
describeApiErrors('Node', { send, sendBroken });

describe('the Node server', () => {
  test('takes raw bytes and forms as any HTTP client sends them', async () => {
    const picture = Buffer.from(await drawPicture({ width: 50, height: 50 }));
    const raw = await request(server.url).post('/classify?top_k=1').type('application/octet-stream').send(picture);
    expect(raw.status).toBe(200);
    const single = classificationSchema.parse(raw.body);
    const form = await request(server.url)
      .post('/classify?top_k=1')
      .attach('file', picture, 'a.png')
      .attach('file', Buffer.from('text'), 'b.txt');
    const { results } = batchClassificationSchema.parse(form.body);
    expect(results[0]).toMatchObject({ file: 'a.png', predictions: single.predictions });
    expect(results[1]).toMatchObject({ file: 'b.txt', problem: { code: 'image/unknown-type' } });
  });

  test('keeps no tensor of a request', async () => {
    const picture = await drawPicture({ width: 33, height: 21 });
    const { input } = await classify(send, picture);
    const before = memory().numTensors;
    for (let round = 0; round < 50; round++) {
      await classify(send, picture);
      await (await send(`/activations/layer2?input=${input.token}&format=png`)).arrayBuffer();
    }
    expect(memory().numTensors).toBe(before);
  });

  test('answers many at once, each with its own picture', async () => {
    const pictures = await Promise.all([8, 16, 24, 40].map((width) => drawPicture({ width, height: 12 })));
    const alone = [];
    for (const picture of pictures) alone.push(await classify(send, picture));
    const together = await Promise.all(
      [...pictures, ...pictures, ...pictures].map((picture) => classify(send, picture)),
    );
    expect(together).toEqual([...alone, ...alone, ...alone]);
    expect(new Set(alone.map(({ predictions }) => predictions[0]?.logit)).size).toBe(4);
  });

  test('goes on when a caller leaves in the middle of an upload', async () => {
    const { hostname, port } = new URL(server.url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    socket.write('POST /classify HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n' + 'x'.repeat(1000));
    await new Promise((resolve) => setTimeout(resolve, 100));
    socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 100));
    const { predictions } = await classify(send, await drawPicture({ width: 8, height: 8 }));
    expect(predictions.length).toBe(5);
  });

  test('serves the page with a strict policy, and its assets for ever', async () => {
    const page = await send('/');
    expect(page.headers.get('content-type')).toMatch(/^text\/html/);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(page.headers.get('cache-control')).toBe('public, no-cache');
    const [, script = ''] = /src="(\/assets\/[^"]+\.js)"/.exec(await page.text()) ?? [];
    const asset = await send(script);
    expect(asset.status).toBe(200);
    expect(asset.headers.get('content-type')).toMatch(/^text\/javascript/);
    expect(asset.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    expect(asset.headers.get('x-content-type-options')).toBe('nosniff');
    await asset.arrayBuffer();

    const etag = page.headers.get('etag') ?? expect.fail('no ETag');
    expect((await send('/', { headers: { 'if-none-match': etag } })).status).toBe(304);
    expect((await send('/', { method: 'HEAD' })).headers.get('etag')).toBe(etag);
  });

  test('serves the pictures of the samples, and no file outside the page', async () => {
    const sample = await send('/samples/automobile-red.png');
    expect(sample.headers.get('content-type')).toBe('image/png');
    const { input } = await classify(send, await sample.arrayBuffer());
    expect(input).toMatchObject({ width: 32, height: 32 });
    for (const path of ['/_headers', '/..%2fpackage.json', '/%2e%2e/package.json', '//etc/passwd']) {
      const response = await send(`${server.url}${path}`);
      expect(response.status, path).toBe(404);
      expect(response.headers.get('content-type'), path).toBe('application/problem+json');
    }
  });

  test('has had nothing to report in all this', () => {
    expect(logged).toEqual([]);
  });
});
