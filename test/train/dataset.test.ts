import { createHash } from 'node:crypto';
import { readFile, rename, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CIFAR10 } from '../../shared/cifar10.ts';
import { readCifar10, splitValidation } from '../../train/dataset.ts';
import type { LabelledImages } from '../../train/dataset.ts';
import { createRandom } from '../../train/random.ts';
import { describeWithCifar10, writeCifar10Folder } from '../support/cifar10-folder.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const recordsPerFile = 20;

async function makeFolder(): Promise<string> {
  const folder = await makeTemporaryFolder();
  await writeCifar10Folder(folder, { recordsPerFile });
  return folder;
}

describe('readCifar10', () => {
  it('turns planes into pixels, keeps the order of files and records, and hashes all bytes', async () => {
    const folder = await makeFolder();
    const record = new Uint8Array(CIFAR10.recordBytes).map((_, index) => (index === 0 ? 9 : (index * 7) % 251));
    const second = await readFile(join(folder, 'data_batch_2.bin'));
    second.set(record, 3 * CIFAR10.recordBytes);
    await writeFile(join(folder, 'data_batch_2.bin'), second);

    const dataset = await readCifar10({ folder, recordsPerFile });

    expect([dataset.training.count, dataset.test.count]).toEqual([100, 20]);
    const image = recordsPerFile + 3;
    expect(dataset.training.labels[image]).toBe(9);
    const [y, x] = [5, 17];
    const pixel = (image * 1024 + y * 32 + x) * 3;
    const expected = [0, 1, 2].map((channel) => record[1 + channel * 1024 + y * 32 + x]);
    expect([...dataset.training.pixels.subarray(pixel, pixel + 3)]).toEqual(expected);
    expect([...dataset.test.labels.subarray(0, 12)]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);

    const hash = createHash('sha256');
    for (const file of [...CIFAR10.trainingFiles, CIFAR10.testFile]) hash.update(await readFile(join(folder, file)));
    expect(dataset.sha256).toBe(hash.digest('hex'));
    expect(dataset.name).toBe('CIFAR-10 cut down to 20 records per file');
  });

  it('takes only files of the official size when no other is asked for', async () => {
    const folder = await makeFolder();
    await expect(readCifar10({ folder })).rejects.toMatchObject({
      code: 'dataset/damaged',
      message: expect.stringContaining('got 61460 bytes, expected 30730000 (10000 records of 3073)'),
    });
  });

  it('names a truncated file and a file that is too long', async () => {
    const folder = await makeFolder();
    await truncate(join(folder, 'data_batch_4.bin'), 61_459);
    await expect(readCifar10({ folder, recordsPerFile })).rejects.toMatchObject({
      code: 'dataset/damaged',
      message: expect.stringMatching(/data_batch_4\.bin is truncated: got 61459 bytes, expected 61460/),
    });
    await truncate(join(folder, 'data_batch_4.bin'), 61_461);
    await expect(readCifar10({ folder, recordsPerFile })).rejects.toThrow(/data_batch_4\.bin is too long: got 61461/);
  });

  it('names the record with a label that is no class', async () => {
    const folder = await makeFolder();
    const bytes = await readFile(join(folder, 'test_batch.bin'));
    bytes[12 * CIFAR10.recordBytes] = 17;
    await writeFile(join(folder, 'test_batch.bin'), bytes);
    await expect(readCifar10({ folder, recordsPerFile })).rejects.toMatchObject({
      code: 'dataset/damaged',
      message: expect.stringMatching(/test_batch\.bin: got label 17 in record 12 .*expected 0 to 9/),
    });
  });

  it('lists what is missing and says where the files may be', async () => {
    const folder = await makeFolder();
    await rm(join(folder, 'data_batch_1.bin'));
    await rename(join(folder, 'test_batch.bin'), join(folder, 'data_batch_1'));
    await expect(readCifar10({ folder, recordsPerFile })).rejects.toMatchObject({
      code: 'dataset/missing',
      message: expect.stringMatching(/lacks data_batch_1\.bin, test_batch\.bin;.*this folder is the Python version/),
    });

    const parent = await makeTemporaryFolder();
    await writeCifar10Folder(join(parent, 'cifar-10-batches-bin'), { recordsPerFile: 1 });
    await expect(readCifar10({ folder: parent })).rejects.toThrow(/did you mean .*cifar-10-batches-bin\?/);
    await expect(readCifar10({ folder: join(parent, 'none') })).rejects.toMatchObject({ code: 'dataset/missing' });
  });
});

describeWithCifar10('readCifar10 on the real data set', (folder) => {
  it('reads 50,000 and 10,000 images with equally many of each class', async () => {
    const dataset = await readCifar10({ folder });
    expect([dataset.name, dataset.training.count, dataset.test.count]).toEqual(['CIFAR-10', 50_000, 10_000]);
    for (const [images, each] of [
      [dataset.training, 5000],
      [dataset.test, 1000],
    ] as const) {
      expect(countLabels(images)).toEqual(Array.from({ length: 10 }, () => each));
    }
  });

  it('refuses a folder in which one label was changed', async () => {
    const copy = await makeTemporaryFolder();
    for (const file of [...CIFAR10.trainingFiles, CIFAR10.testFile]) {
      const bytes = await readFile(join(folder, file));
      if (file === 'data_batch_3.bin') bytes[0] = ((bytes[0] ?? 0) + 1) % 10;
      await writeFile(join(copy, file), bytes);
    }
    await expect(readCifar10({ folder: copy })).rejects.toMatchObject({
      code: 'dataset/damaged',
      message: expect.stringMatching(/got (4999|5001) images of class "\w+" \(label \d\), expected 5000/),
    });
  });
});

function countLabels({ labels }: LabelledImages): number[] {
  return Array.from({ length: 10 }, (_, label) => labels.filter((each) => each === label).length);
}

describe('splitValidation', () => {
  /** Images of one value, their index, so that every image can be recognised. */
  function makeImages(labels: readonly number[]): LabelledImages {
    return { pixels: Uint8Array.from(labels.keys()), labels: Uint8Array.from(labels), count: labels.length };
  }
  const images = makeImages(Array.from({ length: 200 }, (_, index) => index % 10));
  const split = (validationCount: number, seed = 1): { training: LabelledImages; validation: LabelledImages } =>
    splitValidation(images, { validationCount, classes: 10, random: createRandom(seed) });

  it('puts every image, with its label, into exactly one part', () => {
    const { training, validation } = split(50);
    expect([training.count, validation.count]).toEqual([150, 50]);
    const all = [...training.pixels, ...validation.pixels].toSorted((a, b) => a - b);
    expect(all).toEqual([...images.pixels]);
    for (const part of [training, validation]) {
      expect([...part.labels]).toEqual(Array.from(part.pixels, (pixel) => pixel % 10));
    }
  });

  it('takes equally many of each class', () => {
    expect(countLabels(split(50).validation)).toEqual(Array.from({ length: 10 }, () => 5));
    expect(countLabels(split(53).validation)).toEqual([6, 6, 6, 5, 5, 5, 5, 5, 5, 5]);
  });

  it('takes of each class its share when classes differ in size', () => {
    const uneven = makeImages([...Array.from({ length: 60 }, () => 0), ...Array.from({ length: 20 }, () => 1), 2]);
    const { validation } = splitValidation(uneven, { validationCount: 8, classes: 3, random: createRandom(1) });
    expect(countLabels(validation).slice(0, 3)).toEqual([6, 2, 0]);
  });

  it('holds out, when it holds out fewer, a part of what it would hold out of more, also of uneven classes', () => {
    const labels = [9, 40, 7, 23, 61].flatMap((count, label) => Array.from({ length: count }, () => label));
    const heldOut = (validationCount: number): ReadonlySet<number> =>
      new Set(
        splitValidation(makeImages(labels), { validationCount, classes: 5, random: createRandom(3) }).validation.pixels,
      );
    for (let count = 1; count < labels.length - 1; count++) {
      const larger = heldOut(count + 1);
      expect(heldOut(count).size).toBe(count);
      expect([...heldOut(count)].filter((image) => !larger.has(image))).toEqual([]);
    }
  });

  it('depends on the seed and on nothing else', () => {
    expect(split(50, 4)).toEqual(split(50, 4));
    expect(split(50, 4).validation.pixels).not.toEqual(split(50, 5).validation.pixels);
  });

  it('holds nothing out when asked for nothing, and refuses to hold out everything', () => {
    expect(split(0).training.pixels).toEqual(images.pixels);
    expect(split(0).validation.count).toBe(0);
    for (const wrong of [200, -1, 2.5]) expect(() => split(wrong)).toThrow(`${wrong} validation images of 200`);
  });
});
