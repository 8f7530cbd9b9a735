/** The manifest of a model in a store, apart from the loader: who only reads what a model is needs no engine. */
import { ProductError } from '../shared/errors.ts';
import { MANIFEST_FILE, modelContract, parseManifest, type ModelManifest } from '../shared/manifest.ts';
import { modelFilePath } from '../shared/store.ts';
import { readJson, type AssetErrors, type AssetSource } from './asset-source.ts';
import { sha256Hex } from './sha256.ts';

const REPAIR = 'publish the model again, or restore serve/models from git';
/** Of the files of a model. */
export const MODEL_ERRORS: AssetErrors = {
  missing: { code: 'model/missing', advice: `a complete model folder is expected; ${REPAIR}` },
  damaged: { code: 'model/damaged', advice: REPAIR },
};

/** The manifest of a model that this server can serve. Errors: 'model/missing', 'model/damaged', 'model/version', 'model/unsupported'. */
export async function readManifest(store: AssetSource, modelId: string): Promise<ModelManifest> {
  const path = modelFilePath(modelId, MANIFEST_FILE);
  const manifest = parseManifest(await readJson(store, path, MODEL_ERRORS));
  const actual = await sha256Hex(modelContract(manifest));
  if (actual !== modelId || manifest.modelId !== modelId) {
    throw new ProductError(
      'model/damaged',
      `${path} says it is model ${manifest.modelId} and its content is model ${actual}; ${MODEL_ERRORS.damaged.advice}`,
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
