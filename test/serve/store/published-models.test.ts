/** What an upload notices on its way into a store. */
import { truncateSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, it } from 'vitest';
import { openFolderStore } from '../../../serve/node/folder-store.ts';
import type { ModelStore } from '../../../serve/store/model-store.ts';
import { publishModel, type PublishableModel } from '../../../serve/store/published-models.ts';
import { checkModelFolder } from '../../../shared/model-folder.ts';
import { sha256Hex } from '../../../serve/sha256.ts';
import { readFolder } from '../../../serve/node/asset-folder.ts';
import { makeTemporaryFolder } from '../../support/temporary-folder.ts';
import { writeTinyModel } from '../../support/tiny-model.ts';

let folder: string;
let store: ModelStore;
let model: PublishableModel;

beforeEach(async () => {
  const source = join(await makeTemporaryFolder(), 'model');
  await writeTinyModel(source);
  const files = readFolder(source);
  const checked = await checkModelFolder({
    describe: (file) => file,
    read: (file) => files.read(file),
    sha256: sha256Hex,
    decodeUtf8: (bytes) => new TextDecoder().decode(bytes),
  });
  model = { ...checked, manifestBytes: new Uint8Array(await readFile(join(source, 'manifest.json'))) };
  folder = await makeTemporaryFolder();
  store = openFolderStore(folder);
});

const inStore = (file: string): string => join(folder, model.manifest.modelId, file);

it('does not write the manifest when a file in the store is shorter than what was sent', async () => {
  const publishing = publishModel(store, model, ({ path }) => {
    if (path === 'model.json') truncateSync(inStore('model.json'), 10);
  });
  await expect(publishing).rejects.toMatchObject({
    code: 'store/damaged',
    message: expect.stringContaining('has 10 bytes'),
  });
  expect(await store.measure(`${model.manifest.modelId}/manifest.json`)).toBeUndefined();
});

it('replaces an evaluation that was made again, and nothing else', async () => {
  const outcomes: string[] = [];
  const report = ({ path, outcome }: { path: string; outcome: string }) => outcomes.push(`${path} ${outcome}`);
  await publishModel(store, { ...model, evaluationBytes: new Uint8Array([1]) });
  await publishModel(store, { ...model, evaluationBytes: new Uint8Array([2, 3]) }, report);
  expect(await readFile(inStore('evaluation.json'))).toEqual(Buffer.from([2, 3]));
  expect(outcomes.filter((line) => !line.endsWith(' present'))).toEqual(['evaluation.json replaced']);
});

it('says that somebody else writes the evaluation at the same time', async () => {
  const busy: ModelStore = {
    ...store,
    async readVersioned(path) {
      const file = await store.readVersioned(path);
      await writeFile(inStore('evaluation.json'), 'of somebody else');
      return file;
    },
  };
  await expect(publishModel(busy, { ...model, evaluationBytes: new Uint8Array([1]) })).rejects.toMatchObject({
    code: 'store/changed',
  });
  expect(await readFile(inStore('evaluation.json'), 'utf8')).toBe('of somebody else');
});
