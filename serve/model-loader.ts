/**
 * From a model folder to a model in memory: manifest, hashes, graph, in this order, and nothing is used before its hash is
 * right. Which store it is in, and which build of the engine runs it, is the platform's business.
 */
import { loadGraphModel } from '@tensorflow/tfjs-converter';
import { edgeModelHandler } from '../shared/engine/model-handler.ts';
import { ProductError } from '../shared/errors.ts';
import { parseGraphModel } from '../shared/graph-model.ts';
import { MANIFEST_FILE, TOPOLOGY_FILE, type ModelFile, type ModelManifest } from '../shared/manifest.ts';
import { modelFilePath } from '../shared/store.ts';
import { parseJson, readRequired, type AssetSource } from './asset-source.ts';
import { readLinearWeights } from './linear-weights.ts';
import { createLoadedModel, type LoadedModel } from './loaded-model.ts';
import { MODEL_ERRORS, readManifest } from './model-manifest.ts';
import type { ServedEngine } from './served-engine.ts';
import { sha256Hex } from './sha256.ts';

/**
 * Load a model of the store into the engine.
 *
 * Memory   at its peak the files and the weights; of the files nothing is kept
 * Errors   'model/missing', 'model/damaged', 'model/version', 'model/unsupported', 'engine/memory'
 */
export async function loadModel(store: AssetSource, modelId: string, engine: ServedEngine): Promise<LoadedModel> {
  const manifest = await readManifest(store, modelId);
  const files = await readFiles(store, manifest);
  const topologyBytes = files.get(TOPOLOGY_FILE);
  if (topologyBytes === undefined) {
    throw new ProductError(
      'model/damaged',
      `${MANIFEST_FILE} does not list ${TOPOLOGY_FILE}; ${MODEL_ERRORS.damaged.advice}`,
    );
  }
  const file = parseGraphModel(parseJson(topologyBytes, TOPOLOGY_FILE, MODEL_ERRORS), manifest);
  files.delete(TOPOLOGY_FILE);
  // The rest are the shards, in the order of the manifest, which parseGraphModel holds against the graph's own.
  const shards = [...files.values()];
  files.clear();
  const specs = file.weightsManifest.flatMap((group) => group.weights);
  const linear = readLinearWeights(manifest.architecture, specs, shards);
  const { backend, variant, mode } = engine;
  const model = await loadGraphModel(edgeModelHandler({ backend, file, shards, mode }));
  return createLoadedModel(model, { manifest, computation: { variant, mode }, linear });
}

/** All files by name, each with the size and the hash that the manifest states. */
async function readFiles(store: AssetSource, manifest: ModelManifest): Promise<Map<string, Uint8Array<ArrayBuffer>>> {
  const entries = manifest.files.map(async (file) => [file.path, await readVerified(store, manifest, file)] as const);
  return new Map(await Promise.all(entries));
}

async function readVerified(
  store: AssetSource,
  { modelId }: ModelManifest,
  file: ModelFile,
): Promise<Uint8Array<ArrayBuffer>> {
  const path = modelFilePath(modelId, file.path);
  const bytes = await readRequired(store, path, MODEL_ERRORS);
  const actual = await sha256Hex(bytes);
  if (bytes.length === file.sizeBytes && actual === file.sha256) return bytes;
  throw new ProductError(
    'model/damaged',
    `${path} has ${bytes.length} bytes with sha256 ${actual}; the manifest states ${file.sizeBytes} bytes with ${file.sha256}; ${MODEL_ERRORS.damaged.advice}`,
  );
}
