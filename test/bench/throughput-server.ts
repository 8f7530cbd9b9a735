/**
 * One server of `npm run bench:throughput`, a process of its own: node throughput-server.ts edge THREADS, or
 * onnxruntime THREADS SESSIONS. Says where it listens, and its processor time when it is asked.
 */
import { createServer } from 'node:http';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { tmpdir } from 'node:os';
import type { AddressInfo } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { createApp } from '../../serve/app.ts';
import { createClassifier, type Classifier, type ModelRunner } from '../../serve/inference/classifier.ts';
import type { ModelFiles } from '../../serve/inference/model-files.ts';
import { preparePicture } from '../../serve/inference/model-input.ts';
import { createModelPool } from '../../serve/model-pool/model-pool.ts';
import { openModel } from '../../serve/model-pool/open-model.ts';
import { readFolder } from '../../serve/node/asset-folder.ts';
import { startServer } from '../../serve/node/server.ts';
import { compileWasmModules } from '../../serve/node/wasm-modules.ts';
import { createSampleShelf } from '../../serve/samples.ts';
import { createImageDecoder } from '../../shared/image/decode.ts';
import { encodeInputToken } from '../../shared/image/token.ts';
import { normalizePixels } from '../../shared/normalize.ts';
import { loadOnnxNative } from './edge-contenders.ts';

const SHIPPED = 'serve/models';
const [kind, threads = '1', sessions = '1'] = process.argv.slice(2);
/** What the server can be told to do: report its processor time. */
const send = (message: object): void => void process.send?.(message);
const loop = performance.eventLoopUtilization.bind(performance);
let usage = process.cpuUsage();
let busy = loop();

process.on('message', (order: 'reset' | 'report') => {
  if (order === 'reset') [usage, busy] = [process.cpuUsage(), loop()];
  else {
    const { user, system } = process.cpuUsage(usage);
    send({ cpuSeconds: (user + system) / 1e6, mainBusy: loop(busy).utilization });
  }
});
process.on('disconnect', () => process.exit(0));

const url = kind === 'edge' ? await serveEdge(Number(threads)) : await serveOnnx(Number(threads), Number(sessions));
send({ url });

function reportError(error: unknown): void {
  console.error(error);
  process.exit(1);
}

async function serveEdge(count: number): Promise<string> {
  const server = await startServer({
    host: '127.0.0.1',
    port: 0,
    store: join(tmpdir(), 'no-store'),
    page: 'web/dist',
    pool: { threads: count, queueLimit: 1000 },
    reportError,
  });
  await server.ready;
  return server.url;
}

/** The same app, with onnxruntime behind the same seam: it has threads of its own, and pictures are decoded here. */
async function serveOnnx(count: number, sessionCount: number): Promise<string> {
  const { jpeg, webp } = await compileWasmModules();
  const decoder = createImageDecoder({ jpeg, webp });
  const source = readFolder(SHIPPED);
  async function load({ manifest }: ModelFiles): Promise<Classifier> {
    const folder = join(SHIPPED, manifest.modelId);
    const free = await Promise.all(
      Array.from({ length: sessionCount }, () => loadOnnxNative(folder, { threads: count })),
    );
    const waiting: (() => void)[] = [];
    const runner: ModelRunner = {
      manifest,
      computation: { mode: 'exact', variant: 'simd' },
      linear: { kernel: new Float32Array(), bias: new Float32Array() },
      lanes: sessionCount,
      isReady: () => true,
      async run({ input }) {
        if (!('file' in input)) throw new Error('internal: the benchmark sends files');
        const picture = await preparePicture(input.file, { decoder, manifest });
        const token = await encodeInputToken(picture.pixels);
        while (free.length === 0) await new Promise<void>((resolve) => waiting.push(resolve));
        const classify = free.pop();
        if (classify === undefined) throw new Error('internal: no session');
        try {
          return { picture, token, values: [await classify(normalizePixels(picture.pixels, manifest.preprocess))] };
        } finally {
          free.push(classify);
          waiting.shift()?.();
        }
      },
      dispose: () => undefined,
    };
    return createClassifier(runner);
  }
  const models = createModelPool({
    shipped: source,
    store: readFolder(join(tmpdir(), 'no-store')),
    open: (_source, modelId) => openModel(source, modelId, { mode: 'exact', load }),
    pointerTtlMs: 5000,
    budgetBytes: Number.POSITIVE_INFINITY,
    reportError,
  });
  await models.prepare(() => undefined);
  const app = createApp({
    models,
    evaluation: { images: 1, bytes: 1, running: 1 },
    samples: createSampleShelf(readFolder('web/dist')),
    keepAlive: () => undefined,
    reportError,
    page: { answer: async () => undefined },
  });
  const answer = getRequestListener(app.fetch);
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
