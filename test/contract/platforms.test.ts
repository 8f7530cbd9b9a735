/**
 * The same questions to the server on Node and to the Worker as `npm run dev` runs it, with the shipped model: the answers
 * are the same bytes. What they must be is the contract's matter.
 */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startServer, type RunningServer } from '../../serve/node/server.ts';
import { drawPicture, formOf, findFixture } from './api-client.ts';

let node: RunningServer;
let worker: { url: string };
let stopWorker: (() => Promise<unknown>) | undefined;

beforeAll(async () => {
  const options = { host: '127.0.0.1', port: 0, store: 'serve/models', page: 'web/dist' };
  [node, worker] = await Promise.all([
    startServer({ ...options, reportError: (error) => console.error(error) }),
    startWorker(),
  ]);
  await node.ready;
}, 120_000);
afterAll(async () => {
  await Promise.all([node.close(), stopWorker?.()]);
});

async function startWorker() {
  const port = await findFreePort();
  const child = spawn(
    process.execPath,
    [
      'node_modules/wrangler/bin/wrangler.js',
      'dev',
      '--port',
      String(port),
      '--inspector-port',
      String(await findFreePort()),
    ],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, CI: 'true', CLOUDFLARE_CF_FETCH_ENABLED: 'false', WRANGLER_SEND_METRICS: 'false' },
    },
  );
  const ended = once(child, 'close');
  stopWorker = () => {
    child.kill('SIGTERM');
    return ended;
  };
  let output = '';
  await new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data: Buffer) => {
        output += data.toString();
        if (output.includes(`:${port}`) && /Ready on/.test(output)) resolve();
      });
    }
    void ended.then(() => reject(new Error(`wrangler ended: ${output}`)));
  });
  return { url: `http://127.0.0.1:${port}` };
}

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

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
  'x-activation-max',
  'x-content-type-options',
  'x-model-id',
  'x-model-seq',
];

async function answersTo(path: string, makeInit: () => RequestInit) {
  return Promise.all(
    [node.url, worker.url].map(async (url) => {
      const response = await fetch(`${url}${path}`, { ...makeInit(), redirect: 'manual' });
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
