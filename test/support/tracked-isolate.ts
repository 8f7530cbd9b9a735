/** An isolate of the product's Worker in workerd whose memory is read while it answers. */
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { classificationSchema, type Classification } from '../../shared/api.ts';
import { openInspector } from './isolate-inspector.ts';
import type { TrackedMemory } from './memory-tracker.ts';
import { pointTo, putModel, readShippedAs } from './real-size-models.ts';
import { openBucket, startWorker } from './worker-process.ts';

export interface IsolateMemory extends TrackedMemory {
  /** Of the V8 heap, as the inspector says. */
  heapUsedBytes: number;
  heapCommittedBytes: number;
  /** Used after the garbage is collected, which is done when the rest has been read. */
  heapLiveBytes: number;
}

export interface TrackedIsolate {
  /** Of wrangler. */
  pid: number;
  classify(picture: Uint8Array<ArrayBuffer>): Promise<Classification>;
  readMemory(): Promise<IsolateMemory>;
  /** Makes the other one of two models of real size the champion; `meanwhile` is asked again and again until it is. */
  swap(meanwhile: Uint8Array<ArrayBuffer>): Promise<void>;
  stop(): Promise<void>;
}

export async function startTrackedIsolate(): Promise<TrackedIsolate> {
  const state = await mkdtemp(join(tmpdir(), 'resnet18-edge-'));
  const models = await Promise.all(['real.first', 'real.second'].map(readShippedAs));
  const worker = await startWorker({ state, vars: { POINTER_TTL_MS: '0' }, entry: 'test/support/tracked-worker.ts' });
  const bucket = await openBucket({ state });
  for (const model of models) await putModel(bucket, model);
  const inspector = await openInspector(worker.inspectorPort);
  let seq = 0;

  async function classify(picture: Uint8Array<ArrayBuffer>): Promise<Classification> {
    const response = await fetch(`${worker.url}/classify`, { method: 'POST', body: picture });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${response.status}: ${text}`);
    return classificationSchema.parse(JSON.parse(text));
  }

  return {
    pid: worker.pid,
    classify,
    async readMemory() {
      const { usedBytes, committedBytes } = await inspector.readHeap();
      const tracked = (await (await fetch(`${worker.url}/tracked-memory`)).json()) as TrackedMemory;
      // workerd does that only while the Worker has something to answer.
      const collected = inspector.collectGarbage().then(() => true);
      while (!(await Promise.race([collected, fetch(`${worker.url}/tracked-memory`).then(() => false)])));
      const { usedBytes: heapLiveBytes } = await inspector.readHeap();
      return { ...tracked, heapUsedBytes: usedBytes, heapCommittedBytes: committedBytes, heapLiveBytes };
    },
    async swap(meanwhile) {
      seq++;
      const { modelId } = models[seq % 2] ?? {};
      if (modelId === undefined) throw new Error('internal: no model');
      await pointTo(bucket, modelId, seq);
      const deadlineMs = Date.now() + 30_000;
      for (;;) {
        const { model } = await classify(meanwhile);
        if (model.seq === seq && model.id === modelId) return;
        if (Date.now() > deadlineMs) throw new Error(`no swap to ${modelId}: ${worker.output.slice(-2000)}`);
      }
    },
    async stop() {
      inspector.close();
      await bucket.close();
      await worker.stop();
    },
  };
}

export async function readSample(): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await readFile('web/public/samples/automobile-red.png'));
}
