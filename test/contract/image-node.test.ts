/**
 * The image contract in Node, where the decoders are compiled from files; and the same files through the two programs
 * that read pictures there, the trainer's image folders and the server.
 */
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startServer, type RunningServer } from '../../serve/node/server.ts';
import { readImageFolder } from '../../train/image-folder.ts';
import { FITTED, PICTURES } from '../fixtures/images/goldens.ts';
import { makeSharedFolder, makeTemporaryFolder } from '../support/temporary-folder.ts';
import { tinyArchitecture, writeTinyStore } from '../support/tiny-model.ts';
import { describeImage } from './image.ts';
import { describeDamagedUploads } from './image-damage.ts';
import { createLocalPlatform, hashHex } from './image-platform.ts';
import { fromBase64, nameFitted, outcomeOf, readTableFiles, TABLE_NAMES, type TableRow } from './image-table.ts';
import { describeTableUploads, describePhonePicture, uploadTo } from './image-uploads.ts';

const modules = {
  jpeg: compile('@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm'),
  webp: compile('@jsquash/webp/codec/dec/webp_dec.wasm'),
};

function compile(specifier: string): WebAssembly.Module {
  return new WebAssembly.Module(readFileSync(fileURLToPath(import.meta.resolve(specifier))));
}

describeImage('Node', async () => createLocalPlatform(modules));

test('the recorded table is what becomes of the files here, with its distance to Pillow', async () => {
  const image = createLocalPlatform(modules);
  const files = await readTableFiles();
  const outcomes = await image.processAll(files);
  const rows: TableRow[] = [];
  for (const [index, name] of TABLE_NAMES.entries()) {
    const [file, outcome] = [files[index], outcomes[index]];
    if (file === undefined || outcome === undefined) throw new Error(`internal: no file "${name}"`);
    const picture = PICTURES.find((each) => each.name === name);
    const fitted = FITTED.find((each) => nameFitted(each) === name);
    const decoded = 'code' in outcome ? undefined : await image.decode(file);
    const [pixels, reference] =
      fitted === undefined || decoded === undefined
        ? [decoded?.pixels, picture?.rgb]
        : [await image.fit(decoded, 32), fitted.rgb];
    if (pixels === undefined || reference === undefined) rows.push({ name, outcome });
    else rows.push({ name, outcome, difference: largestDifference(pixels, fromBase64(reference)) });
  }
  await expect(`${JSON.stringify(rows, undefined, 2)}\n`).toMatchFileSnapshot('../golden/image-table.json');
  expect(new Set(rows.map(({ difference = 0 }) => difference))).toEqual(new Set([0]));
});

describe('the trainer', () => {
  test('reads every picture of the table from a folder as the server sees it', async () => {
    const folder = await makeTemporaryFolder();
    const files = await readTableFiles();
    const sound = TABLE_NAMES.flatMap((name, index) => {
      const outcome = outcomeOf(name);
      return 'code' in outcome ? [] : [{ file: files[index] ?? new Uint8Array(), input: outcome.input }];
    });
    const [first = { file: new Uint8Array() }] = sound;
    for (const [index, { file }] of sound.entries()) {
      await writePicture(join(folder, 'train', 'many', String(index).padStart(3, '0')), file);
    }
    for (const path of ['train/one', 'test/many', 'test/one'])
      await writePicture(join(folder, path, '000'), first.file);
    const normalization = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };
    const { training } = await readImageFolder(folder, { size: 32, normalization });
    const hashes: string[] = [];
    for (let index = 0; index < sound.length; index++) {
      hashes.push(await hashHex(training.pixels.slice(index * 3072, (index + 1) * 3072)));
    }
    expect(hashes).toEqual(sound.map(({ input }) => input));
  });

  test('refuses the others with the same codes, but for large ones, which it may read', async () => {
    const folder = await makeTemporaryFolder();
    const files = await readTableFiles();
    const normalization = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };
    for (const [index, name] of TABLE_NAMES.entries()) {
      const outcome = outcomeOf(name);
      if (!('code' in outcome) || outcome.code === 'image/too-many-pixels') continue;
      const root = join(folder, String(index));
      for (const part of ['train', 'test']) {
        for (const label of ['one', 'two']) {
          await writePicture(join(root, part, label, 'picture'), files[index] ?? new Uint8Array());
        }
      }
      await expect(readImageFolder(root, { size: 32, normalization }), name).rejects.toMatchObject({
        code: 'dataset/damaged',
        cause: { code: outcome.code },
      });
    }
  });
});

describe('the server', () => {
  let server: RunningServer;
  beforeAll(async () => {
    const store = await makeSharedFolder();
    await writeTinyStore(store, { architecture: tinyArchitecture({ inputShape: [32, 32, 3] }) });
    server = await startServer({
      host: '127.0.0.1',
      port: 0,
      store,
      page: 'web/dist',
      reportError: (error) => console.error(error),
    });
    await server.ready;
  });
  afterAll(() => server.close());

  const send = (path: string, init?: RequestInit) => fetch(new URL(path, server.url), init);
  describeTableUploads('Node', send);
  describeDamagedUploads('Node', { upload: (file) => uploadTo(send, file), count: 110 });
  describePhonePicture('Node', send);
});

async function writePicture(path: string, file: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, file);
}

function largestDifference(actual: Uint8Array, expected: Uint8Array): number {
  return actual.reduce((largest, value, index) => Math.max(largest, Math.abs(value - (expected[index] ?? 999))), 0);
}
