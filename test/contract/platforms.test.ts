/**
 * The same questions to the server on Node and to the Worker as `npm run dev` runs it, with the shipped model: the answers
 * are the same bytes. What they must be is the contract's matter.
 */
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startServer, type RunningServer } from '../../serve/node/server.ts';
import { makeSharedFolder } from '../support/temporary-folder.ts';
import { startWorker, type WorkerProcess } from '../support/worker-process.ts';
import { drawPicture, formOf, findFixture } from './api-client.ts';

let node: RunningServer;
let worker: WorkerProcess;

beforeAll(async () => {
  const options = { host: '127.0.0.1', port: 0, store: 'serve/models', page: 'web/dist' };
  [node, worker] = await Promise.all([
    startServer({ ...options, reportError: (error) => console.error(error) }),
    startWorker({ state: await makeSharedFolder() }),
  ]);
  await node.ready;
}, 120_000);
afterAll(async () => {
  await Promise.all([node?.close(), worker?.stop()]);
});

/** What a caller notices; an ETag may be made in two ways. */
const HEADERS = [
  'access-control-allow-headers',
  'access-control-allow-methods',
  'access-control-allow-origin',
  'access-control-expose-headers',
  'allow',
  'cache-control',
  'content-security-policy',
  'content-type',
  'referrer-policy',
  'vary',
  'x-activation-channels',
  'x-activation-max',
  'x-activation-shape',
  'x-content-type-options',
  'x-model-id',
  'x-model-mode',
  'x-model-seq',
  'x-request-id',
];

async function answersTo(path: string, makeInit: () => RequestInit) {
  return Promise.all(
    [node.url, worker.url].map(async (url) => {
      const response = await fetch(`${url}${path}`, {
        ...makeInit(),
        headers: { 'x-request-id': 'same' },
        redirect: 'manual',
      });
      const body = Buffer.from(await response.arrayBuffer());
      const headers = Object.fromEntries(HEADERS.map((name) => [name, response.headers.get(name)]));
      // Latin-1: any bytes, and a difference that can be read.
      return { status: response.status, headers, body: body.toString('latin1') };
    }),
  );
}

const modelId = readdirSync('serve/models').find((name) => name !== 'channels') ?? '';
const script = readdirSync('web/dist/assets').find((name) => name.endsWith('.js')) ?? '';

test.each([
  ['GET', '/'],
  ['GET', '/index.html'],
  ['GET', '/index'],
  ['GET', '/favicon.svg'],
  ['HEAD', '/favicon.svg'],
  ['GET', `/assets/${script}`],
  ['GET', '/assets/gone.js'],
  ['GET', '/assets'],
  ['GET', '/assets/'],
  ['GET', '/_headers'],
  ['GET', '/samples/samples.json'],
  ['GET', '/samples/cat-ginger.png'],
  ['GET', '/samples/cat%2Dginger.png'],
  ['GET', '/models/x/y'],
  ['GET', `/models/${modelId}/manifest.json`],
  ['POST', `/models/${modelId}/manifest.json`],
  ['POST', '/'],
  ['PUT', '/favicon.svg'],
  ['PUT', '/classify'],
  ['OPTIONS', '/'],
  ['OPTIONS', '/classify'],
  ['OPTIONS', '/nothing/here'],
  ['GET', '/%00'],
  ['GET', '/%ff'],
  ['GET', '/nothing/here'],
  ['GET', '/models'],
  ['GET', '/models/champion'],
  ['GET', '/models/history'],
  ['GET', `/activations?model=${modelId}`],
  ['GET', '/activations?model=shipped'],
  ['GET', '/activations?channel=other'],
  ['GET', '/healthz'],
  ['GET', '/openapi.json'],
  ['GET', '/models?x=1'],
  ['GET', '/activations/probs?values=true'],
  ['GET', '/activations/layer1?sample=cat-ginger'],
  ['GET', '/activations/layer1?sample=cat-ginger&format=png'],
  ['GET', '/activations/layer3?format=npy&top=4'],
  ['GET', '/activations/layer4?format=atlas&channels=7,100-120'],
  ['GET', `/activations?x=${'x'.repeat(16_384)}`],
  ['HEAD', `/activations/input?format=npy&model=${modelId}`],
])('%s %s has one answer', async (method, path) => {
  const [onNode, onWorkers] = await answersTo(path, () => ({ method }));
  expect(onWorkers).toEqual(onNode);
});

test.each(['airplane-airliner', 'bird-perched', 'cat-ginger', 'horse-palomino', 'truck-blue'])(
  'the picture %s has one answer, to the last digit',
  async (name) => {
    const picture = await (await fetch(`${node.url}/samples/${name}.png`)).arrayBuffer();
    const [onNode, onWorkers] = await answersTo('/classify?top_k=10', () => ({ method: 'POST', body: picture }));
    expect(onNode?.status).toBe(200);
    expect(onWorkers).toEqual(onNode);
  },
);

test('a form with good and bad files has one answer', async () => {
  const files = [
    { name: 'a.png', bytes: await drawPicture({ width: 40, height: 24 }) },
    { name: 'b.jpg', bytes: findFixture('JPEG progressive').file },
    { name: 'c.webp', bytes: findFixture('WebP lossless').file },
    { name: 'd.txt', bytes: new TextEncoder().encode('no picture') },
  ];
  const [onNode, onWorkers] = await answersTo('/classify', () => ({ method: 'POST', body: formOf(files) }));
  expect(onNode?.status).toBe(200);
  expect(onWorkers).toEqual(onNode);
});
