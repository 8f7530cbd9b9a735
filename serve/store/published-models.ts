/** The models of a store: putting one in, finding one by its id, and telling a complete one from the rest of an upload. */
import { ProductError } from '../../shared/errors.ts';
import {
  EVALUATION_FILE,
  MANIFEST_FILE,
  parseEvaluation,
  parseManifest,
  type ModelManifest,
} from '../../shared/manifest.ts';
import type { CheckedModel } from '../../shared/model-folder.ts';
import { modelFilePath } from '../../shared/store.ts';
import { parseJson } from '../asset-source.ts';
import { haveSameBytes } from './create-file.ts';
import type { ModelStore } from './model-store.ts';

const MODEL_ID = /^[0-9a-f]{64}$/;
const MIN_PREFIX = 8;

export interface PublishableModel extends CheckedModel {
  /** `manifest.json` and, if there is one, `evaluation.json`, as they are in the folder. */
  manifestBytes: Uint8Array<ArrayBuffer>;
  evaluationBytes?: Uint8Array<ArrayBuffer>;
}

export type FileOutcome = 'written' | 'present' | 'replaced';

/** Told after each file. */
type ReportFile = (file: { path: string; sizeBytes: number; outcome: FileOutcome }) => void;

/**
 * Put a verified model into the store: its files, then their sizes are looked at again, then the manifest. A model
 * without manifest is not published, so an interrupted upload is none; the same call again goes on.
 *
 * Errors   'store/occupied' when the store has other content under this id; 'store/damaged' when what arrived is not
 *          what was sent
 */
export async function publishModel(
  store: ModelStore,
  model: PublishableModel,
  reportFile: ReportFile = () => undefined,
): Promise<void> {
  const { manifest, contents, manifestBytes, evaluationBytes } = model;
  const { modelId } = manifest;
  const create = async (path: string, bytes: Uint8Array<ArrayBuffer>): Promise<void> => {
    const isWritten = await store.create(modelFilePath(modelId, path), bytes);
    reportFile({ path, sizeBytes: bytes.length, outcome: isWritten ? 'written' : 'present' });
  };
  for (const [index, { path }] of manifest.files.entries()) {
    const bytes = contents[index];
    if (bytes === undefined) throw new Error(`internal: no content of ${path}`);
    await create(path, bytes);
  }
  if (evaluationBytes !== undefined) {
    const outcome = await replaceEvaluation(store, modelId, evaluationBytes);
    reportFile({ path: EVALUATION_FILE, sizeBytes: evaluationBytes.length, outcome });
  }
  await assertComplete(store, manifest);
  await create(MANIFEST_FILE, manifestBytes);
}

/** The only file of a model that may be made again: it is about the model, not of it. */
async function replaceEvaluation(
  store: ModelStore,
  modelId: string,
  bytes: Uint8Array<ArrayBuffer>,
): Promise<FileOutcome> {
  const path = modelFilePath(modelId, EVALUATION_FILE);
  const existing = await store.readVersioned(path);
  if (existing !== undefined && haveSameBytes(existing.bytes, bytes)) return 'present';
  if (await store.swap(path, bytes, existing?.version)) return existing === undefined ? 'written' : 'replaced';
  throw new ProductError('store/changed', `somebody else is writing ${path}; publish again if yours is to stay`);
}

async function assertComplete(store: ModelStore, manifest: ModelManifest): Promise<void> {
  for (const { path, sizeBytes } of manifest.files) {
    const name = modelFilePath(manifest.modelId, path);
    const actual = await store.measure(name);
    if (actual === sizeBytes) continue;
    throw new ProductError(
      'store/damaged',
      `${name} in ${store.name} ${actual === undefined ? 'is not there' : `has ${actual} bytes`}, ${sizeBytes} bytes are expected; remove what is there of this file and publish the model again`,
      { details: { path: name } },
    );
  }
}

/**
 * The id of the one published model that begins so.
 *
 * Errors   'store/unknown-model', 'store/ambiguous-id'
 */
export async function findModel(store: ModelStore, prefix: string): Promise<string> {
  if (!/^[0-9a-f]+$/.test(prefix) || prefix.length < MIN_PREFIX || prefix.length > 64) {
    throw new ProductError(
      'cli/usage',
      `"${prefix}" is not the id of a model; its 64 hexadecimal digits, or the first ${MIN_PREFIX} or more, are expected`,
    );
  }
  const candidates = (await store.list('')).filter((name) => MODEL_ID.test(name) && name.startsWith(prefix));
  const published: string[] = [];
  for (const id of candidates) {
    if ((await store.measure(modelFilePath(id, MANIFEST_FILE))) !== undefined) published.push(id);
  }
  const [first, ...others] = published;
  if (first !== undefined && others.length === 0) return first;
  if (first === undefined) {
    const why = candidates.length > 0 ? 'was not published completely' : 'is not there';
    throw new ProductError(
      'store/unknown-model',
      `model ${prefix} ${why} in ${store.name}; give "npm run release -- publish" its folder first`,
      { details: { candidates } },
    );
  }
  throw new ProductError(
    'store/ambiguous-id',
    `${published.length} models begin with ${prefix}: ${published.join(', ')}; give more digits`,
    { details: { candidates: published } },
  );
}

/** The ids of all published models. */
export async function listPublished(store: ModelStore): Promise<string[]> {
  const ids = (await store.list('')).filter((name) => MODEL_ID.test(name));
  const sizes = await Promise.all(ids.map((id) => store.measure(modelFilePath(id, MANIFEST_FILE))));
  return ids.filter((_, index) => sizes[index] !== undefined);
}

/** As recorded in its evaluation; undefined where it was never measured. Errors: 'model/damaged', 'evaluation/mismatch'. */
export async function readMeasuredAccuracy(store: ModelStore, modelId: string): Promise<number | undefined> {
  const path = modelFilePath(modelId, EVALUATION_FILE);
  const bytes = await store.read(path);
  if (bytes === undefined) return undefined;
  const damaged = { code: 'model/damaged', advice: 'measure the model and publish it again' } as const;
  return parseEvaluation(parseJson(bytes, path, { damaged, missing: damaged }), modelId).metrics?.accuracy;
}

/** The manifest of a model whose files are all there. Errors: 'store/unknown-model', 'store/damaged', 'model/damaged'. */
export async function readPublished(store: ModelStore, modelId: string): Promise<ModelManifest> {
  const manifest = await readPublishedManifest(store, modelId);
  if (manifest === undefined) {
    throw new ProductError(
      'store/unknown-model',
      `model ${modelId} is not in ${store.name}; give "npm run release -- publish" its folder first`,
    );
  }
  await assertComplete(store, manifest);
  return manifest;
}

/** The manifest alone, or undefined where the model is not published. Errors: 'model/damaged', 'model/version'. */
export async function readPublishedManifest(store: ModelStore, modelId: string): Promise<ModelManifest | undefined> {
  const path = modelFilePath(modelId, MANIFEST_FILE);
  const bytes = await store.read(path);
  if (bytes === undefined) return undefined;
  const damaged = { code: 'model/damaged', advice: 'remove it and publish the model again' } as const;
  const manifest = parseManifest(parseJson(bytes, path, { damaged, missing: damaged }));
  if (manifest.modelId === modelId) return manifest;
  throw new ProductError('model/damaged', `${path} is about model ${manifest.modelId}; ${damaged.advice}`);
}
