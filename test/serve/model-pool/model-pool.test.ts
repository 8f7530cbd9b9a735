/** The pool with real models in memory: what is loaded, kept, freed and looked at when. */
import { memory } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { AssetSource } from '../../../serve/asset-source.ts';
import { createClassifier, runHere } from '../../../serve/classifier.ts';
import { loadModel } from '../../../serve/model-loader.ts';
import { createModelPool, type ModelPool } from '../../../serve/model-pool/model-pool.ts';
import { compileWasmModules } from '../../../serve/node/wasm-modules.ts';
import { startEngine, type ServedEngine } from '../../../serve/served-engine.ts';
import { createImageDecoder, type ImageDecoder } from '../../../shared/image/decode.ts';
import {
  channelPath,
  DEFAULT_CHANNEL,
  modelFilePath,
  type Channel,
  type ChannelChange,
} from '../../../shared/store.ts';
import { readTinyFiles, type ModelFiles } from '../../support/tiny-model.ts';

let models: ModelFiles[];
let engine: ServedEngine;
let decoder: ImageDecoder;
const PIXELS = new Uint8Array(8 * 8 * 3).fill(120);

beforeAll(async () => {
  const { engine: build, ...codecs } = await compileWasmModules();
  engine = await startEngine(build, 'fast');
  decoder = createImageDecoder(codecs);
  models = await Promise.all([1, 2, 3, 4, 5].map((seed) => readTinyFiles({ seed })));
});

function idOf(index: number): string {
  const model = models[index];
  if (model === undefined) throw new Error(`no model ${index}`);
  return model.modelId;
}

interface Bench {
  pool: ModelPool;
  /** Takes and gives back at once, and says which model it was. */
  ask: (choice?: { model?: string; channel?: string }) => Promise<string>;
  take: (choice?: { model?: string; channel?: string }) => ReturnType<ModelPool['take']>;
  point: (index: number | null, seq: number, channel?: string) => void;
  /** The same with the change that led there. */
  change: (action: ChannelChange['action'], to: { index: number; seq: number; replaced: number | null }) => void;
  removePointer: () => void;
  /** Writes a file of a model again, changed in one bit. */
  damage: (index: number) => void;
  /** Lets all reads of a model's weights wait; call what it returns to let them go on. */
  hold: (index: number) => () => void;
  logged: unknown[];
  /** Paths in the order in which they were read from the store. */
  reads: string[];
  /** Settles all that requests began. */
  settle: () => Promise<void>;
}

/** A store in memory with all models but the first, which is the shipped one. */
function makeBench({ pointerTtlMs = 0, otherModels = 1 } = {}): Bench {
  const store = new Map<string, Uint8Array<ArrayBuffer>>();
  const shipped = new Map<string, Uint8Array<ArrayBuffer>>();
  models.forEach(({ modelId, files }, index) => {
    for (const [name, bytes] of files) (index === 0 ? shipped : store).set(modelFilePath(modelId, name), bytes);
  });
  const logged: unknown[] = [];
  const reads: string[] = [];
  const kept: Promise<unknown>[] = [];
  const held = new Map<string, Promise<void>>();
  const toSource = (files: typeof store, seen?: string[]): AssetSource => ({
    async read(path) {
      seen?.push(path);
      await held.get(path);
      return files.get(path)?.slice();
    },
  });
  const writeJson = (files: typeof store, path: string, value: unknown) =>
    files.set(path, new TextEncoder().encode(JSON.stringify(value)));
  writeJson(shipped, channelPath(DEFAULT_CHANNEL), { champion: idOf(0), seq: 0, previous: [] });
  const pool = createModelPool({
    shipped: toSource(shipped),
    store: toSource(store, reads),
    load: async (source, modelId) => createClassifier(runHere(await loadModel(source, modelId, engine), decoder)),
    pointerTtlMs,
    otherModels,
    reportError: (error) => logged.push(error),
  });
  const take: Bench['take'] = (choice = {}) => pool.take(choice, (work) => kept.push(work));
  return {
    pool,
    take,
    async ask(choice) {
      const model = await take(choice);
      expect((await model.classifier.classify(PIXELS)).length).toBe(3);
      model.release();
      return model.reference.id;
    },
    point: (index, seq, channel = DEFAULT_CHANNEL) =>
      writeJson(store, channelPath(channel), { champion: index === null ? null : idOf(index), seq, previous: [] }),
    change(action, { index, seq, replaced }) {
      const ids = { champion: idOf(index), replaced: replaced === null ? null : idOf(replaced) };
      const change: ChannelChange = { seq, action, ...ids, at: '2026-11-21T12:00:00Z' };
      const pointer: Channel = { champion: ids.champion, seq, previous: [ids.replaced], change };
      writeJson(store, channelPath(DEFAULT_CHANNEL), pointer);
    },
    removePointer: () => store.delete(channelPath(DEFAULT_CHANNEL)),
    damage(index) {
      const path = modelFilePath(idOf(index), 'group1-shard1of1.bin');
      const bytes = store.get(path)?.slice() ?? new Uint8Array(10);
      bytes[9] = (bytes[9] ?? 0) ^ 4;
      store.set(path, bytes);
    },
    hold(index) {
      const { promise, resolve } = Promise.withResolvers<void>();
      held.set(shardOf(index), promise);
      return resolve;
    },
    logged,
    reads,
    async settle() {
      while (kept.length > 0) await Promise.all(kept.splice(0));
    },
  };
}

/** A request that makes the pool look, and then the model of the next one. */
async function swap(bench: Bench): Promise<string> {
  // A look that is under way may have read the old pointer.
  await bench.settle();
  await bench.ask();
  await bench.settle();
  return bench.ask();
}

describe('a swap', () => {
  test('leaves as many tensors as one model has, over 50 swaps', async () => {
    const bench = makeBench();
    await bench.ask();
    const before = memory().numTensors;
    for (let seq = 1; seq <= 50; seq++) {
      const next = 1 + (seq % 3);
      bench.point(next, seq);
      expect(await swap(bench)).toBe(idOf(next));
      await bench.settle();
      expect(memory().numTensors).toBe(before);
    }
    expect(bench.logged).toEqual([]);
  });

  test('keeps the old model as long as a request has it, and then frees it', async () => {
    const bench = makeBench();
    const empty = memory().numTensors;
    const old = await bench.take();
    const expected = await old.classifier.classify(PIXELS);
    const before = memory().numTensors;
    bench.point(1, 1);
    expect(await swap(bench)).toBe(idOf(1));
    expect(await old.classifier.classify(PIXELS)).toEqual(expected);
    expect(old.reference).toMatchObject({ id: idOf(0), seq: 0 });
    expect(memory().numTensors - before).toBe(before - empty);
    old.release();
    old.release();
    expect(memory().numTensors).toBe(before);
  });

  test('is not waited for', async () => {
    const bench = makeBench();
    await bench.ask();
    bench.point(1, 1);
    // The request that sees the new pointer is answered by the old model.
    expect(await bench.ask()).toBe(idOf(0));
  });

  test('loads nothing when only the number of the pointer changed', async () => {
    const bench = makeBench();
    bench.point(1, 1);
    await bench.ask();
    bench.point(1, 2);
    await bench.ask();
    await bench.settle();
    bench.reads.length = 0;
    const model = await bench.take();
    model.release();
    expect(model.reference.seq).toBe(2);
    expect(bench.reads).toEqual([channelPath(DEFAULT_CHANNEL)]);
  });
});

describe('the pointer', () => {
  test('is read once for all requests within its time', async () => {
    const bench = makeBench({ pointerTtlMs: 3_600_000 });
    bench.point(1, 1);
    await bench.ask();
    bench.point(2, 2);
    for (let round = 0; round < 20; round++) expect(await bench.ask()).toBe(idOf(1));
    expect(bench.reads.filter((path) => path === channelPath(DEFAULT_CHANNEL))).toHaveLength(1);
  });

  test('of a damaged model is refused and told once, and its model is not loaded again and again', async () => {
    const bench = makeBench();
    await bench.ask();
    bench.damage(1);
    bench.point(1, 1);
    for (let round = 0; round < 10; round++) expect(await swap(bench)).toBe(idOf(0));
    expect(bench.logged).toMatchObject([{ code: 'model/damaged' }]);
    expect(bench.reads.filter((path) => path.includes('shard'))).toHaveLength(1);
    bench.point(2, 2);
    expect(await swap(bench)).toBe(idOf(2));
    bench.point(1, 3);
    expect(await swap(bench)).toBe(idOf(2));
    expect(bench.logged).toHaveLength(2);
  });

  test('that was read before the one in force does not come back when its model is loaded late', async () => {
    const bench = makeBench();
    await bench.ask();
    vi.useFakeTimers({ toFake: ['Date'] });
    onTestFinished(() => void vi.useRealTimers());
    const goOn = bench.hold(1);
    bench.point(1, 1);
    await bench.ask();
    await expect.poll(() => bench.reads.includes(shardOf(1))).toBe(true);
    // The look is overdue and given up; the next one finds a newer pointer.
    vi.setSystemTime(Date.now() + 61_000);
    bench.point(2, 2);
    await bench.ask();
    await expect.poll(() => bench.ask()).toBe(idOf(2));
    // The store is not looked at any more, so that only the late load can change what answers.
    bench.point(2, 2);
    goOn();
    await bench.settle();
    expect(bench.pool).toMatchObject({ isReady: true });
    const model = await bench.take();
    model.release();
    expect(model.reference).toMatchObject({ id: idOf(2), seq: 2 });
  });

  test('that is gone changes nothing, and one to no model means the shipped one', async () => {
    const bench = makeBench();
    bench.point(1, 1);
    expect(await bench.ask()).toBe(idOf(1));
    bench.removePointer();
    for (let round = 0; round < 3; round++) expect(await swap(bench)).toBe(idOf(1));
    expect(bench.logged).toMatchObject([{ code: 'model/missing', message: expect.stringContaining('is gone') }]);
    bench.point(null, 2);
    expect(await swap(bench)).toBe(idOf(0));
  });

  test('that is damaged from the start leaves the server without a model, until it is mended', async () => {
    const bench = makeBench();
    bench.damage(1);
    bench.point(1, 1);
    await expect(bench.ask()).rejects.toMatchObject({
      code: 'server/not-ready',
      cause: { code: 'model/damaged' },
    });
    expect(bench.pool.isReady).toBe(false);
    bench.point(2, 2);
    expect(await bench.ask()).toBe(idOf(2));
    expect(bench.pool.isReady).toBe(true);
  });
});

describe('a server that starts with a damaged champion', () => {
  test.each([1, null])('answers with the one that it was promoted over (%s)', async (replaced) => {
    const bench = makeBench();
    bench.damage(2);
    bench.change('promote', { index: 2, seq: 5, replaced });
    const model = await bench.take();
    model.release();
    expect(model.reference).toMatchObject({ id: idOf(replaced ?? 0), channel: DEFAULT_CHANNEL, seq: 4 });
    for (let round = 0; round < 5; round++) expect(await swap(bench)).toBe(idOf(replaced ?? 0));
    expect(bench.logged).toMatchObject([{ code: 'model/damaged' }]);
    bench.point(3, 6);
    expect(await swap(bench)).toBe(idOf(3));
  });

  test('does not take a model that was rolled back, nor one that is damaged, too', async () => {
    for (const action of ['rollback', 'promote'] as const) {
      const bench = makeBench();
      bench.damage(2);
      if (action === 'promote') bench.damage(1);
      bench.change(action, { index: 2, seq: 5, replaced: 1 });
      await expect(bench.ask()).rejects.toMatchObject({
        cause: { code: 'model/damaged', message: expect.stringContaining(idOf(2)) },
      });
    }
  });
});

describe('models beside the champion', () => {
  test('are as many as there is room for; the one that was used longest ago goes', async () => {
    const bench = makeBench({ otherModels: 2 });
    const loads = (index: number): number => bench.reads.filter((path) => path === shardOf(index)).length;
    await bench.ask();
    for (const index of [1, 2, 1, 3]) expect(await bench.ask({ model: idOf(index) })).toBe(idOf(index));
    expect([loads(1), loads(2), loads(3)]).toEqual([1, 1, 1]);
    await bench.ask({ model: idOf(1) });
    expect(loads(1)).toBe(1);
    await bench.ask({ model: idOf(2) });
    expect(loads(2)).toBe(2);
  });

  test('in use are not freed: who asks for one too many is told to come back', async () => {
    const bench = makeBench({ otherModels: 1 });
    await bench.ask();
    const first = await bench.take({ model: idOf(1) });
    const refusal = await bench.ask({ model: idOf(2) }).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 'server/not-ready', message: expect.stringContaining('1 other model') });
    expect(await bench.ask()).toBe(idOf(0));
    // A new champion is no guest: it gets its place.
    bench.point(3, 1);
    expect(await swap(bench)).toBe(idOf(3));
    first.release();
    expect(await bench.ask({ model: idOf(2) })).toBe(idOf(2));
  });

  test('are loaded once for all who ask meanwhile', async () => {
    const bench = makeBench();
    const ids = await Promise.all(Array.from({ length: 8 }, () => bench.ask({ model: idOf(4) })));
    expect(new Set(ids)).toEqual(new Set([idOf(4)]));
    expect(bench.reads.filter((path) => path === shardOf(4))).toHaveLength(1);
  });

  test('follow the pointer of their channel', async () => {
    const bench = makeBench();
    bench.point(1, 1, 'canary');
    expect(await bench.ask({ channel: 'canary' })).toBe(idOf(1));
    expect(await bench.ask()).toBe(idOf(0));
    await bench.settle();
    bench.point(2, 2, 'canary');
    const old = await bench.take({ channel: 'canary' });
    await bench.settle();
    expect(await bench.ask({ channel: 'canary' })).toBe(idOf(2));
    expect(await bench.ask({ channel: 'canary' })).toBe(idOf(2));
    expect(bench.reads.filter((path) => path === shardOf(2))).toHaveLength(1);
    expect((await old.classifier.classify(PIXELS)).length).toBe(3);
    old.release();
    await expect(bench.ask({ channel: 'other' })).rejects.toMatchObject({ code: 'channel/unknown' });
  });
});

function shardOf(index: number): string {
  return modelFilePath(idOf(index), 'group1-shard1of1.bin');
}
