import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { memory } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import type { AssetSource } from '../../../serve/asset-source.ts';
import { loadModel } from '../../../serve/inference/model-loader.ts';
import { compileWasmModules } from '../../../serve/node/wasm-modules.ts';
import { startEngine, type ServedEngine } from '../../../serve/inference/served-engine.ts';
import { sha256Hex } from '../../../serve/sha256.ts';
import { ProductError, type ErrorCode } from '../../../shared/errors.ts';
import { modelContract, parseManifest, type ModelManifest } from '../../../shared/manifest.ts';
import { channelPath, modelFilePath } from '../../../shared/store.ts';
import { makeSharedFolder } from '../../support/temporary-folder.ts';
import { tinyArchitecture, writeTinyStore, type TinyModelOptions } from '../../support/tiny-model.ts';

type Files = Map<string, Uint8Array<ArrayBuffer>>;

/** A store in memory, so that each test can damage its own copy. */
interface MemoryStore {
  manifest: ModelManifest;
  files: Files;
}

let tiny: MemoryStore;
let engine: ServedEngine;

beforeAll(async () => {
  engine = await startEngine((await compileWasmModules()).engine, 'fast');
  tiny = await makeStore();
});

describe('loadModel', () => {
  test.each([
    { weightType: 'float32', isFolded: false },
    { weightType: 'float16', isFolded: false },
    { weightType: 'uint8', isFolded: false },
    { weightType: 'float32', isFolded: true },
  ] as const)('loads $weightType (folded: $isFolded), and frees all of it', async (form) => {
    const store = await makeStore(form);
    const before = memory().numTensors;
    const classifier = await loadModel(sourceOf(store.files), store.manifest.modelId, engine);
    const pixels = Uint8Array.from({ length: 8 * 8 * 3 }, (_, index) => (index * 29) % 256);
    const logits = classifier.classify(pixels);
    expect(logits.length).toBe(3);
    expect(logits.every(Number.isFinite)).toBe(true);
    expect(classifier.classify(pixels)).toEqual(logits);
    expect(memory().numTensors).toBeGreaterThan(before);
    classifier.dispose();
    expect(memory().numTensors).toBe(before);
  });

  test('gives every layer of the manifest with its size', async () => {
    const classifier = await loadModel(sourceOf(tiny.files), tiny.manifest.modelId, engine);
    const pixels = new Uint8Array(8 * 8 * 3).fill(200);
    for (const layer of classifier.manifest.layers) {
      expect(classifier.activate(pixels, layer).length, layer.name).toBe(layer.shape.reduce((a, b) => a * b, 1));
    }
    classifier.dispose();
  });

  test.each(['model.json', 'group1-shard1of1.bin'])('refuses one changed byte in %s by its name', async (file) => {
    const files = new Map(tiny.files);
    const path = modelFilePath(tiny.manifest.modelId, file);
    const bytes = read(files, path).slice();
    bytes[7] = (bytes[7] ?? 0) ^ 1;
    files.set(path, bytes);
    expect((await refusalOf(files, 'model/damaged')).message).toContain(path);
  });

  test('refuses a file that is missing', async () => {
    const { modelId } = tiny.manifest;
    for (const file of ['manifest.json', 'group1-shard1of1.bin']) {
      const files = new Map(tiny.files);
      const path = modelFilePath(modelId, file);
      files.delete(path);
      expect((await refusalOf(files, 'model/missing')).message).toContain(path);
    }
  });

  test('refuses a manifest whose content is not that of its id', async () => {
    const files = new Map(tiny.files);
    files.set(modelFilePath(tiny.manifest.modelId, 'manifest.json'), toJson({ ...tiny.manifest, temperature: 2 }));
    expect((await refusalOf(files, 'model/damaged')).message).toMatch(/its content is model [0-9a-f]{64}/);
  });

  test('refuses an operation that our networks do not have', async () => {
    const files = await reforge((topology) => {
      node(topology, 'relu').op = 'ReadFile';
    });
    const refusal = await refusalOf(files, 'model/unsupported');
    expect(refusal.message).toMatch(/the op "ReadFile" \(node "relu"\)/);
  });

  test('refuses a graph without the node of a layer', async () => {
    const files = await reforge((topology) => {
      node(topology, 'layer1.0.bn1').name = 'elsewhere';
    });
    expect((await refusalOf(files, 'model/damaged')).message).toContain('layer1.0.bn1');
  });

  test('refuses a layer of another shape, and keeps none of its tensors', async () => {
    const before = memory().numTensors;
    const files = await reforge((topology) => {
      const [first, second] = [node(topology, 'layer1'), node(topology, 'layer2')];
      [first.name, second.name] = ['layer2', 'layer1'];
      for (const each of topology.modelTopology.node) {
        each.input = each.input?.map((name) => ({ layer1: 'layer2', layer2: 'layer1' })[name] ?? name);
      }
    });
    expect((await refusalOf(files, 'model/damaged')).message).toMatch(/"layer1" comes out as \[4, 4, 6\]/);
    expect(memory().numTensors).toBe(before);
  });

  test('refuses weights that do not fill the shards', async () => {
    const files = await reforge((topology) => {
      topology.weightsManifest[0]?.weights.pop();
    });
    expect((await refusalOf(files, 'model/damaged')).message).toMatch(
      /describes \d+ bytes of weights, the shards have \d+/,
    );
  });

  test('refuses an input that is not square', async () => {
    const store = await makeStore({ architecture: tinyArchitecture({ inputShape: [8, 12, 3] }) });
    expect((await refusalOf(store.files, 'model/unsupported')).message).toContain('8 x 12 x 3');
  });
});

async function makeStore(options: TinyModelOptions = {}): Promise<MemoryStore> {
  const folder = await makeSharedFolder();
  const manifest = await writeTinyStore(folder, options);
  const files: Files = new Map();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files.set(path.slice(folder.length + 1), new Uint8Array(await readFile(path)));
  }
  return { manifest, files };
}

function sourceOf(files: Files): AssetSource {
  return { read: async (path) => files.get(path)?.slice() };
}

async function refusalOf(files: Files, code: ErrorCode): Promise<ProductError> {
  const pointer = JSON.parse(new TextDecoder().decode(read(files, channelPath('resnet18')))) as { champion: string };
  const error = await loadModel(sourceOf(files), pointer.champion, engine).catch((thrown: unknown) => thrown);
  if (!(error instanceof ProductError)) throw new Error(`expected a refusal, got ${String(error)}`);
  expect(error.code).toBe(code);
  return error;
}

interface Topology {
  modelTopology: { node: { name: string; op: string; input?: string[] | undefined }[] };
  weightsManifest: { weights: unknown[] }[];
}

/** The tiny model with another graph, honestly hashed: as a forger or a faulty converter would publish it. */
async function reforge(change: (topology: Topology) => void): Promise<Files> {
  const { manifest, files } = tiny;
  const topology = JSON.parse(
    new TextDecoder().decode(read(files, modelFilePath(manifest.modelId, 'model.json'))),
  ) as Topology;
  change(topology);
  const bytes = toJson(topology);
  const entry = { path: 'model.json', sizeBytes: bytes.length, sha256: await sha256Hex(bytes) };
  const forged = { ...manifest, files: manifest.files.map((file) => (file.path === entry.path ? entry : file)) };
  const modelId = await sha256Hex(modelContract(forged));
  return new Map([
    [channelPath('resnet18'), toJson({ champion: modelId, seq: 0, previous: [] })],
    [modelFilePath(modelId, 'manifest.json'), toJson(parseManifest({ ...forged, modelId }))],
    [modelFilePath(modelId, 'model.json'), bytes],
    ...manifest.files
      .slice(1)
      .map(({ path }): [string, Uint8Array<ArrayBuffer>] => [
        modelFilePath(modelId, path),
        read(files, modelFilePath(manifest.modelId, path)),
      ]),
  ]);
}

function node(topology: Topology, name: string): Topology['modelTopology']['node'][number] {
  const found = topology.modelTopology.node.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no node ${name}`);
  return found;
}

function read(files: Files, path: string): Uint8Array<ArrayBuffer> {
  const bytes = files.get(path);
  if (bytes === undefined) throw new Error(`no file ${path}`);
  return bytes;
}

function toJson(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(value));
}
