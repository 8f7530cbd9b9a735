/**
 * Writes a model folder: `model.json`, weight shards and `manifest.json`, all or nothing. It is written beside its place
 * under another name (staged), may be examined there, and gets its name last (published).
 */
import { createHash } from 'node:crypto';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Architecture } from '../../shared/architecture.ts';
import { ProductError } from '../../shared/errors.ts';
import {
  listLayerEntries,
  MANIFEST_FILE,
  MANIFEST_VERSION,
  modelContract,
  PREPROCESS_ID,
} from '../../shared/manifest.ts';
import type { AbstentionRule, ModelFile, ModelManifest, Provenance } from '../../shared/manifest.ts';
import type { Normalization } from '../../shared/normalize.ts';
import { buildLayerTable, INPUT_LAYER, LOGITS_LAYER, PROBABILITIES_LAYER } from '../../shared/resnet.ts';
import { buildGraph } from './build-graph.ts';
import type { Weights } from './build-graph.ts';
import { encodeGraphModel } from './encode-graph-model.ts';
import type { GraphModelSignature } from './encode-graph-model.ts';
import type { WeightType } from './encode-weights.ts';
import { buildFoldedGraph } from './fold.ts';
import type { Graph } from './graph-def.ts';

/** Everything that a model folder says, before it has a form. */
export interface ModelSource {
  name: string;
  architecture: Architecture;
  classNames: readonly string[];
  normalization: Normalization;
  weights: Weights;
  /** Probabilities are softmax(logits / temperature). */
  temperature: number;
  /** Undefined: the model answers every picture. */
  abstention?: AbstentionRule | undefined;
  provenance: Provenance;
  licence: string;
}

export interface ModelForm {
  weightType: WeightType;
  isFolded: boolean;
}

/**
 * Write a complete model folder.
 *
 * Errors: `model/exists` when the folder is there and not empty; `checkpoint/mismatch` when the weights do not fit the
 * architecture; `model/unsupported` when a value does not fit the weight type.
 */
export async function writeModel(source: ModelSource, form: ModelForm, folder: string): Promise<ModelManifest> {
  const { staged, manifest } = await stageModel(source, form, folder);
  await publishModel(staged, folder);
  return manifest;
}

/** Write the model beside `folder`; the caller publishes or discards it. */
export async function stageModel(
  source: ModelSource,
  form: ModelForm,
  folder: string,
): Promise<{ staged: string; manifest: ModelManifest }> {
  await assertFree(folder);
  const { graph, layers } = formGraph(source, form);
  const staged = `${path.resolve(folder)}.partial-${process.pid}`;
  await rm(staged, { recursive: true, force: true });
  await mkdir(staged, { recursive: true });
  try {
    const files: ModelFile[] = [];
    const signature = describeSignature(source.architecture);
    for (const { path: name, bytes } of encodeGraphModel(graph, { signature, weightType: form.weightType })) {
      files.push(await writeModelFile(staged, name, bytes));
    }
    const contract: Omit<ModelManifest, 'modelId'> = {
      formatVersion: MANIFEST_VERSION,
      name: source.name,
      architecture: source.architecture,
      classNames: [...source.classNames],
      preprocess: { id: PREPROCESS_ID, mean: [...source.normalization.mean], std: [...source.normalization.std] },
      weightType: form.weightType,
      isFolded: form.isFolded,
      layers,
      files,
      temperature: source.temperature,
      ...(source.abstention === undefined ? {} : { abstention: source.abstention }),
      provenance: source.provenance,
      licence: source.licence,
    };
    const manifest: ModelManifest = { ...contract, modelId: computeModelId(contract) };
    await writeModelFile(staged, MANIFEST_FILE, formatJson(manifest));
    return { staged, manifest };
  } catch (error) {
    await discardModel(staged);
    throw error;
  }
}

/** Give a staged model its name. */
export async function publishModel(staged: string, folder: string): Promise<void> {
  await assertFree(folder);
  await mkdir(path.dirname(path.resolve(folder)), { recursive: true });
  await rename(staged, folder);
}

export async function discardModel(staged: string): Promise<void> {
  await rm(staged, { recursive: true, force: true });
}

export function computeModelId(manifest: Omit<ModelManifest, 'modelId'>): string {
  return createHash('sha256').update(modelContract(manifest)).digest('hex');
}

/** Write a file that may be there already: it is replaced at once, never half. */
export async function replaceFile(file: string, bytes: Uint8Array | string): Promise<void> {
  const partial = path.join(path.dirname(file), `.${path.basename(file)}.partial-${process.pid}`);
  const handle = await open(partial, 'w');
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(partial, file);
}

/** JSON as we commit it: readable, with a newline at the end. */
export function formatJson(value: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(value, undefined, 2)}\n`);
}

function formGraph(source: ModelSource, form: ModelForm): { graph: Graph; layers: ModelManifest['layers'] } {
  const table = buildLayerTable(source.architecture);
  if (!form.isFolded) return { graph: buildGraph(table, source.weights), layers: listLayerEntries(table) };
  const { graph, nodeOfLayer } = buildFoldedGraph(table, source.weights);
  const layers = listLayerEntries(table).flatMap((entry) => {
    const node = nodeOfLayer.get(entry.name);
    return node === undefined ? [] : [{ ...entry, node }];
  });
  return { graph, layers };
}

function describeSignature({ inputShape, classes }: Architecture): GraphModelSignature {
  return {
    inputs: { [INPUT_LAYER]: { node: INPUT_LAYER, shape: inputShape } },
    outputs: {
      logits: { node: LOGITS_LAYER, shape: [classes] },
      probs: { node: PROBABILITIES_LAYER, shape: [classes] },
    },
  };
}

async function writeModelFile(folder: string, file: string, bytes: Uint8Array): Promise<ModelFile> {
  const handle = await open(path.join(folder, file), 'wx');
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return { path: file, sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

async function assertFree(folder: string): Promise<void> {
  const entries = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    if (error.code === 'ENOTDIR') return ['(a file)'];
    throw error;
  });
  if (entries.length === 0) return;
  throw new ProductError(
    'model/exists',
    `${folder} is there already and not empty; a model folder is never overwritten: name another one, or remove it`,
  );
}
