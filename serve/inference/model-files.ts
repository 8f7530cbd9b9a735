/**
 * A published model by its files: manifest and graph are read and held to each other at once, the weights when they are
 * wanted, shard by shard. Nothing is used before its hash is right. No engine is needed here.
 */
import { draftNetwork } from '../../shared/engine/draft-network.ts';
import type { EngineMode } from '../../shared/engine/layout.ts';
import { planMemory, type MemoryPlan } from '../../shared/engine/memory-plan.ts';
import { networkFileOf } from '../../shared/engine/network-file.ts';
import type { Network } from '../../shared/engine/network.ts';
import { ProductError } from '../../shared/errors.ts';
import { parseGraphModel, type GraphModelFile } from '../../shared/graph-model.ts';
import {
  MANIFEST_FILE,
  modelContract,
  parseManifest,
  TOPOLOGY_FILE,
  type ModelFile,
  type ModelManifest,
} from '../../shared/manifest.ts';
import { modelFilePath } from '../../shared/store.ts';
import { parseJson, readJson, readRequired, type AssetErrors, type AssetSource } from '../asset-source.ts';
import { sha256Hex } from '../sha256.ts';
import { ShardBuffers } from './shard-buffers.ts';

const REPAIR = 'publish the model again, or restore serve/models from git';
const ERRORS: AssetErrors = {
  missing: { code: 'model/missing', advice: `a complete model folder is expected; ${REPAIR}` },
  damaged: { code: 'model/damaged', advice: REPAIR },
};

export interface ModelFiles {
  manifest: ModelManifest;
  graph: GraphModelFile;
  /**
   * The shards in their order, each with the size and the hash that the manifest states, in one of the `buffers`: give
   * it back when it is not used any more.
   *
   * @param ahead so many are in memory at once, at most; reading the next ones overlaps with the use of the first
   * Errors   'model/missing', 'model/damaged'
   */
  readShards(ahead: number, buffers: ShardBuffers): AsyncGenerator<Uint8Array>;
  /** Reads all files and keeps nothing. Errors: 'model/missing', 'model/damaged'. */
  verify(): Promise<void>;
  /** Where this model's shards are read into. */
  createBuffers(): ShardBuffers;
  /**
   * The network without the values of its vectors, parsed once. For most graphs no shard is read for it.
   *
   * Errors   'model/unsupported', those of reading
   */
  draftNetwork(): Promise<Network>;
  /** What the model takes of an engine, from its files alone. Errors: those of {@link draftNetwork}. */
  planMemory(mode: EngineMode): Promise<MemoryPlan>;
}

/** Errors: 'model/missing', 'model/damaged', 'model/version', 'model/unsupported'. */
export async function openModelFiles(store: AssetSource, modelId: string): Promise<ModelFiles> {
  // Both at once: a fresh server answers its first request only then.
  const graphBytes = store.read(modelFilePath(modelId, TOPOLOGY_FILE));
  graphBytes.catch(() => undefined);
  const manifest = await readManifest(store, modelId);
  const [topology, ...shards] = [
    ...manifest.files.filter(({ path }) => path === TOPOLOGY_FILE),
    ...manifest.files.filter(({ path }) => path !== TOPOLOGY_FILE),
  ];
  if (topology?.path !== TOPOLOGY_FILE) {
    throw new ProductError(
      'model/damaged',
      `${MANIFEST_FILE} does not list ${TOPOLOGY_FILE}; ${ERRORS.damaged.advice}`,
    );
  }
  const bytes = await readVerified(() => graphBytes, manifest, topology);
  const graph = parseGraphModel(parseJson(bytes, TOPOLOGY_FILE, ERRORS), manifest);

  async function* readShards(ahead: number, buffers: ShardBuffers): AsyncGenerator<Uint8Array> {
    const reading: Promise<Uint8Array>[] = [];
    let next = 0;
    // The order of the manifest, which parseGraphModel holds against the graph's own.
    for (let wanted = 0; wanted < shards.length; wanted++) {
      for (; next < Math.min(wanted + ahead, shards.length); next++) {
        const shard = shards[next];
        if (shard === undefined) break;
        const read = readVerified((path) => buffers.read(path), manifest, shard);
        // It may fail while an earlier one is waited for, or when nobody wants it any more.
        read.catch(() => undefined);
        reading.push(read);
      }
      const first = reading.shift();
      if (first !== undefined) yield await first;
    }
  }

  let draft: Promise<Network> | undefined;

  async function parseDraft(): Promise<Network> {
    const { network } = await draftNetwork(networkFileOf(graph), readShards(1, new ShardBuffers(store)));
    return network;
  }

  async function draftOnce(): Promise<Network> {
    draft ??= parseDraft();
    try {
      return await draft;
    } catch (error) {
      draft = undefined;
      throw error;
    }
  }

  return {
    manifest,
    graph,
    readShards,
    async verify() {
      const buffers = new ShardBuffers(store);
      for await (const shard of readShards(1, buffers)) buffers.giveBack(shard);
      buffers.clear();
    },
    createBuffers: () => new ShardBuffers(store),
    draftNetwork: draftOnce,
    async planMemory(mode) {
      return planMemory(await draftOnce(), mode);
    },
  };
}

/** The manifest of a model that this server can serve. Errors: as of {@link openModelFiles}. */
export async function readManifest(store: AssetSource, modelId: string): Promise<ModelManifest> {
  const path = modelFilePath(modelId, MANIFEST_FILE);
  const manifest = parseManifest(await readJson(store, path, ERRORS));
  const actual = await sha256Hex(modelContract(manifest));
  if (actual !== modelId || manifest.modelId !== modelId) {
    throw new ProductError(
      'model/damaged',
      `${path} says it is model ${manifest.modelId} and its content is model ${actual}; ${ERRORS.damaged.advice}`,
    );
  }
  const [height, width, channels] = manifest.architecture.inputShape;
  if (height !== width || channels !== 3) {
    throw new ProductError(
      'model/unsupported',
      `the model takes ${height} x ${width} x ${channels}; pictures are served to square inputs with 3 channels only; train on such`,
    );
  }
  return manifest;
}

async function readVerified(
  read: AssetSource['read'],
  { modelId }: ModelManifest,
  file: ModelFile,
): Promise<Uint8Array<ArrayBuffer>> {
  const path = modelFilePath(modelId, file.path);
  const bytes = await readRequired({ read }, path, ERRORS);
  const actual = await sha256Hex(bytes);
  if (bytes.length === file.sizeBytes && actual === file.sha256) return bytes;
  throw new ProductError(
    'model/damaged',
    `${path} has ${bytes.length} bytes with sha256 ${actual}; the manifest states ${file.sizeBytes} bytes with ${file.sha256}; ${ERRORS.damaged.advice}`,
  );
}
