/** The swap of models on a real Node server with a folder, and on the Worker as `npm run dev` runs it with a bucket. */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startServer, type RunningServer } from '../../serve/node/server.ts';
import { makeSharedFolder } from '../support/temporary-folder.ts';
import { openBucket, startWorker, type LocalBucket, type WorkerProcess } from '../support/worker-process.ts';
import { describeSwap } from './swap.ts';

let node: RunningServer;
let worker: WorkerProcess;
let store: string;
let bucket: LocalBucket;
const logged: unknown[] = [];

beforeAll(async () => {
  const state = await makeSharedFolder();
  store = await makeSharedFolder();
  const options = { host: '127.0.0.1', port: 0, store, page: 'web/dist', pointerTtlMs: 0 };
  node = await startServer({ ...options, reportError: (error) => logged.push(error) });
  worker = await startWorker({ state, vars: { POINTER_TTL_MS: '0' } });
  bucket = await openBucket({ state });
  await node.ready;
}, 120_000);
afterAll(() => Promise.all([node?.close(), worker?.stop(), bucket?.close()]));

describeSwap('Node', () => ({
  send: (path, init) => fetch(node.url + path, init),
  async put(path, bytes) {
    const target = join(store, path);
    await mkdir(dirname(target), { recursive: true });
    // In one step, as every writer of a store must do it.
    await writeFile(`${target}.new`, bytes);
    await rename(`${target}.new`, target);
  },
  readLog: () => logged.map(String).join('\n'),
}));

describeSwap('workerd', () => ({
  send: (path, init) => fetch(worker.url + path, init),
  put: (path, bytes) => bucket.put(path, bytes),
  readLog: () => worker.output,
}));

test('neither platform reports anything but what was refused', () => {
  const texts = logged.map(String);
  expect(texts.filter((text) => !/group1-shard1of1\.bin has|is not JSON|could not be loaded/.test(text))).toEqual([]);
  expect(worker.output).not.toMatch(/hang|different request|internal:/i);
});
