/** Reads a model folder of this machine and refuses anything that is not exactly what its manifest promises. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { GraphModelFile } from '../../shared/graph-model.ts';
import type { Evaluation, ModelManifest } from '../../shared/manifest.ts';
import { checkEvaluation, checkManifest, checkModelFolder } from '../../shared/model-folder.ts';
import type { ModelFolderFiles } from '../../shared/model-folder.ts';

export interface ModelFolder {
  folder: string;
  manifest: ModelManifest;
  topology: GraphModelFile;
  /** All shards, one after the other. */
  weights: Uint8Array<ArrayBuffer>;
}

/** Read and verify a model folder. Errors: those of `checkModelFolder`. */
export async function readModel(folder: string): Promise<ModelFolder> {
  const { manifest, topology, contents } = await checkModelFolder(filesOf(folder));
  return { folder, manifest, topology, weights: concatenate(contents.slice(1)) };
}

/** Read the manifest alone and verify its id. */
export async function readManifest(folder: string): Promise<ModelManifest> {
  return checkManifest(filesOf(folder));
}

/** The evaluation of a model, if it has one. Errors: `model/damaged`, `evaluation/mismatch`. */
export async function readEvaluation(folder: string, modelId: string): Promise<Evaluation | undefined> {
  return checkEvaluation(filesOf(folder), modelId);
}

function filesOf(folder: string): ModelFolderFiles {
  return {
    describe: (file) => path.join(folder, file),
    read: (file) => readOptional(path.join(folder, file)),
    sha256: (content) => createHash('sha256').update(content).digest('hex'),
    decodeUtf8: (bytes) => new TextDecoder('utf-8', { fatal: true }).decode(bytes),
  };
}

async function readOptional(file: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    return new Uint8Array(await readFile(file));
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) {
      return undefined;
    }
    throw error;
  }
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}
