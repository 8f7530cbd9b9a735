/**
 * When a model folder is what its manifest promises: sizes, hashes, ops, weights, layers. Who makes such a folder and who
 * publishes it hold it to this; how a file is read and hashed is the platform's business. Every error names the file.
 */
import { ProductError } from './errors.ts';
import { parseGraphModel } from './graph-model.ts';
import type { GraphModelFile } from './graph-model.ts';
import { EVALUATION_FILE, MANIFEST_FILE, modelContract, parseEvaluation, parseManifest } from './manifest.ts';
import { TOPOLOGY_FILE } from './manifest.ts';
import type { Evaluation, ModelFile, ModelManifest } from './manifest.ts';

export interface ModelFolderFiles {
  /** How messages name a file of the folder, for example with its path. */
  describe: (file: string) => string;
  /** Undefined where there is no such file. */
  read: (file: string) => Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** 64 hexadecimal digits; text is hashed in UTF-8. */
  sha256: (content: Uint8Array<ArrayBuffer> | string) => Promise<string> | string;
  /** Throws when the bytes are not UTF-8. */
  decodeUtf8: (bytes: Uint8Array) => string;
}

export interface CheckedModel {
  manifest: ModelManifest;
  topology: GraphModelFile;
  /** Contents in the order of `manifest.files`: `model.json`, then the shards. */
  contents: Uint8Array<ArrayBuffer>[];
}

/**
 * Read and verify a model folder.
 *
 * Memory   all files at once, which the caller then owns
 * Errors   'model/missing' when a file is not there; 'model/damaged' when one differs from what the manifest says or the
 *          parts do not fit together; 'model/version' for another format version; 'model/unsupported' for unknown ops
 */
export async function checkModelFolder(folder: ModelFolderFiles): Promise<CheckedModel> {
  const manifest = await checkManifest(folder);
  const [topologyFile] = manifest.files;
  if (topologyFile?.path !== TOPOLOGY_FILE) {
    throw damaged(folder, MANIFEST_FILE, `names "${topologyFile?.path}" as its first file instead of ${TOPOLOGY_FILE}`);
  }
  const contents: Uint8Array<ArrayBuffer>[] = [];
  let topology: GraphModelFile | undefined;
  for (const file of manifest.files) {
    const bytes = await readVerified(folder, file);
    topology ??= parseGraphModel(parseJson(folder, TOPOLOGY_FILE, bytes), manifest, folder.describe(TOPOLOGY_FILE));
    contents.push(bytes);
  }
  if (topology === undefined) throw new Error('internal: a manifest without files');
  return { manifest, topology, contents };
}

/** Read the manifest alone and verify its id. */
export async function checkManifest(folder: ModelFolderFiles): Promise<ModelManifest> {
  const manifest = parseManifest(parseJson(folder, MANIFEST_FILE, await readPresent(folder, MANIFEST_FILE)));
  const computed = await folder.sha256(modelContract(manifest));
  if (computed === manifest.modelId) return manifest;
  throw damaged(folder, MANIFEST_FILE, `says model ${manifest.modelId}, its contents have the id ${computed}`);
}

/** The evaluation of a model, if it has one. Errors: 'model/damaged', 'evaluation/mismatch'. */
export async function checkEvaluation(folder: ModelFolderFiles, modelId: string): Promise<Evaluation | undefined> {
  const bytes = await folder.read(EVALUATION_FILE);
  return bytes === undefined ? undefined : parseEvaluation(parseJson(folder, EVALUATION_FILE, bytes), modelId);
}

async function readVerified(folder: ModelFolderFiles, file: ModelFile): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await readPresent(folder, file.path);
  if (bytes.length !== file.sizeBytes) {
    throw damaged(folder, file.path, `has ${bytes.length} bytes, the manifest says ${file.sizeBytes}`);
  }
  const sha256 = await folder.sha256(bytes);
  if (sha256 === file.sha256) return bytes;
  throw damaged(folder, file.path, `has the sha256 ${sha256}, the manifest says ${file.sha256}`);
}

async function readPresent(folder: ModelFolderFiles, file: string): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await folder.read(file);
  if (bytes !== undefined) return bytes;
  throw new ProductError(
    'model/missing',
    `${folder.describe(file)} is not there; a model folder, as "npm run model -- convert" writes it, is expected`,
  );
}

function parseJson(folder: ModelFolderFiles, file: string, bytes: Uint8Array): unknown {
  try {
    return JSON.parse(folder.decodeUtf8(bytes));
  } catch (error) {
    throw new ProductError(
      'model/damaged',
      `${folder.describe(file)} is not JSON (${error instanceof Error ? error.message : String(error)}); convert the checkpoint again`,
      { cause: error },
    );
  }
}

function damaged(folder: ModelFolderFiles, file: string, problem: string): ProductError {
  return new ProductError(
    'model/damaged',
    `${folder.describe(file)} ${problem}; copy the model folder again, or convert the checkpoint again`,
  );
}
