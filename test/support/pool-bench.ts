/** A model pool over stores in memory, with real models in the real engine: what tests of the pool do to it. */
import { expect } from 'vitest';
import type { AssetSource } from '../../serve/asset-source.ts';
import { createClassifier, runHere } from '../../serve/inference/classifier.ts';
import { loadFiles } from '../../serve/inference/model-loader.ts';
import { createModelPool, type ModelPool } from '../../serve/model-pool/model-pool.ts';
import type { OpenedModel } from '../../serve/model-pool/model-shelf.ts';
import { openModel } from '../../serve/model-pool/open-model.ts';
import { compileWasmModules } from '../../serve/node/wasm-modules.ts';
import { startEngine, type ServedEngine } from '../../serve/inference/served-engine.ts';
import { createImageDecoder } from '../../shared/image/decode.ts';
import { sumMemory } from '../../shared/engine/memory-plan.ts';
import { channelPath, DEFAULT_CHANNEL, modelFilePath, type Channel, type ChannelChange } from '../../shared/store.ts';
import { readTinyFiles, type ModelFiles } from './tiny-model.ts';

export const PIXELS = new Uint8Array(8 * 8 * 3).fill(120);

export interface PoolBenches {
  engine: ServedEngine;
  idOf: (index: number) => string;
  /** Path of a model's weights. */
  shardOf: (index: number) => string;
  /** Bytes of the engine that so many of the models take at once. */
  budgetOf: (room: number) => number;
  /** A store with all models but the first, which is the shipped one. There is room for some models at once; where
   *  `guestRoom` is less, for two of them and a new champion, but for no other third one. */
  makeBench: (options?: { pointerTtlMs?: number; room?: number; guestRoom?: number }) => Bench;
}

export interface Bench {
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
  /** The next read of a model's weights is sound, all later ones are not. */
  spoil: (index: number) => void;
  /** Lets all reads of a model's weights wait; call what it returns to let them go on. */
  hold: (index: number) => () => void;
  logged: unknown[];
  /** Paths in the order in which they were read from the store. */
  reads: string[];
  /** Paths whose reading waits, or has waited. */
  waits: string[];
  /** Settles all that requests began. */
  settle: () => Promise<void>;
}

/** Five models with different weights. */
export async function startPoolBenches(): Promise<PoolBenches> {
  const { engine: build, ...codecs } = await compileWasmModules();
  const engine = await startEngine(build, 'fast');
  const decoder = createImageDecoder(codecs);
  const models: ModelFiles[] = await Promise.all([1, 2, 3, 4, 5].map((seed) => readTinyFiles({ seed })));
  const open = (source: AssetSource, modelId: string): Promise<OpenedModel> =>
    openModel(source, modelId, {
      mode: 'fast',
      load: async (files) => createClassifier(runHere(await loadFiles(files, engine), decoder)),
    });
  const [{ modelId: firstId, files: firstFiles } = expect.fail('no model')] = models;
  const first: AssetSource = { read: async (path) => firstFiles.get(path.slice(firstId.length + 1)) };
  const { memory } = await open(first, firstId);
  const idOf = (index: number): string => models[index]?.modelId ?? expect.fail(`no model ${index}`);
  const shardOf = (index: number): string => modelFilePath(idOf(index), 'group1-shard1of1.bin');
  const budgetOf = (room: number): number => sumMemory(Array.from({ length: room }, () => memory));

  function makeBench(options: Parameters<PoolBenches['makeBench']>[0] = {}): Bench {
    const { pointerTtlMs = 0, room = 3 } = options;
    const store = new Map<string, Uint8Array<ArrayBuffer>>();
    const shipped = new Map<string, Uint8Array<ArrayBuffer>>();
    models.forEach(({ modelId, files }, index) => {
      for (const [name, bytes] of files) (index === 0 ? shipped : store).set(modelFilePath(modelId, name), bytes);
    });
    const logged: unknown[] = [];
    const reads: string[] = [];
    const waits: string[] = [];
    const kept: Promise<unknown>[] = [];
    const held = new Map<string, Promise<void>>();
    const spoiled = new Map<string, () => void>();
    const toSource = (files: typeof store, seen?: string[]): AssetSource => ({
      async read(path) {
        seen?.push(path);
        const hold = held.get(path);
        if (hold !== undefined) waits.push(path);
        await hold;
        const bytes = files.get(path)?.slice();
        spoiled.get(path)?.();
        return bytes;
      },
    });
    const writeJson = (files: typeof store, path: string, value: unknown) =>
      files.set(path, new TextEncoder().encode(JSON.stringify(value)));
    writeJson(shipped, channelPath(DEFAULT_CHANNEL), { champion: idOf(0), seq: 0, previous: [] });
    const pool = createModelPool({
      shipped: toSource(shipped),
      store: toSource(store, reads),
      open,
      pointerTtlMs,
      budgetBytes: budgetOf(room),
      guestBudgetBytes: budgetOf(options.guestRoom ?? room),
      reportError: (error) => logged.push(error),
    });
    const take: Bench['take'] = (choice = {}) => pool.take(choice, (work) => kept.push(work));
    const damage = (index: number): void => {
      const path = shardOf(index);
      const bytes = store.get(path)?.slice() ?? new Uint8Array(10);
      bytes[9] = (bytes[9] ?? 0) ^ 4;
      store.set(path, bytes);
    };
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
      damage,
      spoil: (index) =>
        spoiled.set(shardOf(index), () => {
          spoiled.delete(shardOf(index));
          damage(index);
        }),
      hold(index) {
        const { promise, resolve } = Promise.withResolvers<void>();
        held.set(shardOf(index), promise);
        return resolve;
      },
      logged,
      reads,
      waits,
      async settle() {
        while (kept.length > 0) await Promise.all(kept.splice(0));
      },
    };
  }

  return { engine, idOf, shardOf, budgetOf, makeBench };
}

/** A request that makes the pool look, and then the model of the next one. */
export async function swap(bench: Bench): Promise<string> {
  // A look that is under way may have read the old pointer.
  await bench.settle();
  await bench.ask();
  await bench.settle();
  return bench.ask();
}
