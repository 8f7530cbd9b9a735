/** Models of real size for stores of tests: the shipped one under other names, so with other ids and the same weights. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MANIFEST_FILE, modelContract, parseManifest } from '../../shared/manifest.ts';
import { channelPath, DEFAULT_CHANNEL, modelFilePath } from '../../shared/store.ts';
import type { ModelFiles } from './tiny-model.ts';
import type { LocalBucket } from './worker-process.ts';

const SHIPPED = 'serve/models';

export async function readShippedAs(name: string): Promise<ModelFiles> {
  const id = (await readdir(SHIPPED)).find((each) => each.length === 64) ?? '';
  const folder = join(SHIPPED, id);
  const manifest = parseManifest(JSON.parse(await readFile(join(folder, MANIFEST_FILE), 'utf8')));
  const renamed = { ...manifest, name };
  const modelId = createHash('sha256').update(modelContract(renamed)).digest('hex');
  const files: ModelFiles['files'] = new Map();
  for (const { path } of manifest.files) files.set(path, new Uint8Array(await readFile(join(folder, path))));
  files.set(MANIFEST_FILE, toJson({ ...renamed, modelId }));
  return { modelId, files };
}

export async function putModel(bucket: LocalBucket, { modelId, files }: ModelFiles): Promise<void> {
  for (const [file, bytes] of files) await bucket.put(modelFilePath(modelId, file), bytes);
}

export async function pointTo(bucket: LocalBucket, champion: string, seq: number): Promise<void> {
  await bucket.put(channelPath(DEFAULT_CHANNEL), toJson({ champion, seq, previous: [] }));
}

function toJson(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(value));
}
