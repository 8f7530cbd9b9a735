/**
 * From a model folder to a classifier: manifest, hashes, graph, in this order, and nothing is used before its hash is
 * right. Which store it is in, and which build of the engine runs it, is the platform's business.
 */
import { loadGraphModel } from '@tensorflow/tfjs-converter';
import { edgeModelHandler } from '../shared/engine/model-handler.ts';
import { ProductError } from '../shared/errors.ts';
import { parseGraphModel } from '../shared/graph-model.ts';
import {
  MANIFEST_FILE,
  modelContract,
  parseManifest,
  TOPOLOGY_FILE,
  type ModelFile,
  type ModelManifest,
} from '../shared/manifest.ts';
import { modelFilePath } from '../shared/store.ts';
import { parseJson, readJson, readRequired, type AssetErrors, type AssetSource } from './asset-source.ts';
import { createClassifier, type Classifier } from './classifier.ts';
import { readLinearWeights } from './linear-weights.ts';
import type { ServedEngine } from './served-engine.ts';
import { sha256Hex } from './sha256.ts';

const REPAIR = 'publish the model again, or restore serve/models from git';
const ERRORS: AssetErrors = {
  missing: { code: 'model/missing', advice: `a complete model folder is expected; ${REPAIR}` },
  damaged: { code: 'model/damaged', advice: REPAIR },
};

/**
 * Load a model of the store into the engine.
 *
 * Memory   at its peak the files and the weights; of the files nothing is kept
 * Errors   'model/missing', 'model/damaged', 'model/version', 'model/unsupported', 'engine/memory'
 */
export async function loadModel(store: AssetSource, modelId: string, engine: ServedEngine): Promise<Classifier> {
  const manifest = await readManifest(store, modelId);
  const files = await readFiles(store, manifest);
  const topologyBytes = files.get(TOPOLOGY_FILE);
  if (topologyBytes === undefined) {
    throw new ProductError(
      'model/damaged',
      `${MANIFEST_FILE} does not list ${TOPOLOGY_FILE}; ${ERRORS.damaged.advice}`,
    );
  }
  const file = parseGraphModel(parseJson(topologyBytes, TOPOLOGY_FILE, ERRORS), manifest);
  files.delete(TOPOLOGY_FILE);
  // The rest are the shards, in the order of the manifest, which parseGraphModel holds against the graph's own.
  const shards = [...files.values()];
  files.clear();
  const specs = file.weightsManifest.flatMap((group) => group.weights);
  const linear = readLinearWeights(manifest.architecture, specs, shards);
  const { backend, variant, mode } = engine;
  const model = await loadGraphModel(edgeModelHandler({ backend, file, shards, mode }));
  return createClassifier(model, { manifest, computation: { variant, mode }, linear });
}

/** The manifest of a model that this server can serve. Errors: as of {@link loadModel}. */
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
  const bytes = await readRequired(store, path, ERRORS);
  const actual = await sha256Hex(bytes);
  if (bytes.length === file.sizeBytes && actual === file.sha256) return bytes;
  throw new ProductError(
    'model/damaged',
    `${path} has ${bytes.length} bytes with sha256 ${actual}; the manifest states ${file.sizeBytes} bytes with ${file.sha256}; ${ERRORS.damaged.advice}`,
  );
}
