/**
 * Labelled images in memory: reading an unpacked CIFAR-10 folder, and holding out a validation split. Where the folder
 * comes from is decided in `download.ts`; nothing here touches the network or changes a file. The other kind of data set
 * is `image-folder.ts`.
 *
 * A folder is read whole or refused: a damaged file is an error that names the file and the fact.
 */
import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CIFAR10 } from '../shared/cifar10.ts';
import { ProductError } from '../shared/errors.ts';
import type { Normalization } from '../shared/normalize.ts';
import type { Random } from './random.ts';

export interface LabelledImages {
  /** [count, height, width, channels] */
  pixels: Uint8Array<ArrayBuffer>;
  /** [count], class ids */
  labels: Uint8Array<ArrayBuffer>;
  count: number;
}

export interface Dataset {
  name: string;
  classNames: readonly string[];
  /** [height, width, channels] */
  imageShape: readonly [number, number, number];
  normalization: Normalization;
  /** Over the files in reading order. CIFAR-10: `cat data_batch_{1,2,3,4,5}.bin test_batch.bin | sha256sum`. */
  sha256: string;
  training: LabelledImages;
  /** The official test set; it never chooses anything. */
  test: LabelledImages;
}

/** The files of the binary version, in reading order. */
export const CIFAR10_FILES: readonly string[] = [...CIFAR10.trainingFiles, CIFAR10.testFile];

const PIXELS_PER_IMAGE = CIFAR10.recordBytes - 1;
const CLASSES = CIFAR10.classNames.length;
const WHAT_TO_DO = 'unpack the archive again, or delete the folder if it was downloaded';

/**
 * Read the binary version of CIFAR-10.
 *
 * `recordsPerFile` other than the official 10,000 is for cut-down folders; the data set's name then says so, and the
 * number of images per class, which is known only for the official set, is not checked.
 *
 * Errors: `dataset/missing` when files are not there; `dataset/damaged` for a wrong size, label or number of images of
 * a class.
 */
export async function readCifar10(options: { folder: string; recordsPerFile?: number }): Promise<Dataset> {
  const recordsPerFile = options.recordsPerFile ?? CIFAR10.recordsPerFile;
  const isOfficial = recordsPerFile === CIFAR10.recordsPerFile;
  await requireFiles(options.folder);

  const hash = createHash('sha256');
  const read = async (files: readonly string[]): Promise<LabelledImages> => {
    const images = allocateImages(files.length * recordsPerFile, PIXELS_PER_IMAGE);
    for (const [index, file] of files.entries()) {
      const path = join(options.folder, file);
      const bytes = await readFile(path);
      hash.update(bytes);
      unpackRecords(bytes, { path, recordsPerFile, images, firstImage: index * recordsPerFile });
    }
    if (isOfficial) requireBalance(images, `${files.join(', ')} in ${options.folder}`);
    return images;
  };
  const training = await read(CIFAR10.trainingFiles);
  const test = await read([CIFAR10.testFile]);

  return {
    name: isOfficial ? 'CIFAR-10' : `CIFAR-10 cut down to ${recordsPerFile} records per file`,
    classNames: CIFAR10.classNames,
    imageShape: CIFAR10.imageShape,
    normalization: { mean: CIFAR10.mean, std: CIFAR10.std },
    sha256: hash.digest('hex'),
    training,
    test,
  };
}

function allocateImages(count: number, pixelsPerImage: number): LabelledImages {
  return { pixels: new Uint8Array(count * pixelsPerImage), labels: new Uint8Array(count), count };
}

async function requireFiles(folder: string): Promise<void> {
  let present: string[];
  try {
    present = await readdir(folder);
  } catch (cause) {
    throw new ProductError('dataset/missing', `cannot read the folder ${folder}; ${explainFolder()}`, { cause });
  }
  const missing = CIFAR10_FILES.filter((file) => !present.includes(file));
  if (missing.length === 0) return;
  throw new ProductError(
    'dataset/missing',
    `${folder} lacks ${missing.join(', ')}; ${explainFolder()}${hintAtNeighbour(folder, present)}`,
  );
}

function explainFolder(): string {
  return `the unpacked binary version of CIFAR-10 is expected, with ${CIFAR10_FILES.join(', ')}`;
}

function hintAtNeighbour(folder: string, present: readonly string[]): string {
  if (present.includes('cifar-10-batches-bin')) return ` (did you mean ${join(folder, 'cifar-10-batches-bin')}?)`;
  if (present.includes('data_batch_1')) return ' (this folder is the Python version)';
  return '';
}

/** Check the records of one file and copy them: planes [channels, height, width] become pixels [height, width, channels]. */
function unpackRecords(
  bytes: Uint8Array,
  place: { path: string; recordsPerFile: number; images: LabelledImages; firstImage: number },
): void {
  const { path, recordsPerFile, images, firstImage } = place;
  const expectedBytes = recordsPerFile * CIFAR10.recordBytes;
  if (bytes.length !== expectedBytes) {
    throw new ProductError(
      'dataset/damaged',
      `${path} is ${bytes.length < expectedBytes ? 'truncated' : 'too long'}: got ${bytes.length} bytes, expected ${expectedBytes} (${recordsPerFile} records of ${CIFAR10.recordBytes}); ${WHAT_TO_DO}`,
    );
  }
  const [height, width, channels] = CIFAR10.imageShape;
  const planeSize = height * width;
  for (let record = 0; record < recordsPerFile; record++) {
    const start = record * CIFAR10.recordBytes;
    const label = bytes[start] ?? Number.NaN;
    if (!(label < CLASSES)) {
      throw new ProductError(
        'dataset/damaged',
        `${path}: got label ${label} in record ${record} (the first is 0), expected 0 to ${CLASSES - 1}; ${WHAT_TO_DO}`,
      );
    }
    images.labels[firstImage + record] = label;
    let target = (firstImage + record) * PIXELS_PER_IMAGE;
    for (let pixel = start + 1; pixel < start + 1 + planeSize; pixel++) {
      for (let channel = 0; channel < channels; channel++) {
        images.pixels[target++] = bytes[pixel + channel * planeSize] ?? 0;
      }
    }
  }
}

/** The official sets have equally many images of each class. */
function requireBalance(images: LabelledImages, files: string): void {
  const expected = images.count / CLASSES;
  for (const [label, count] of countLabels(images.labels, CLASSES).entries()) {
    if (count === expected) continue;
    throw new ProductError(
      'dataset/damaged',
      `${files}: got ${count} images of class "${CIFAR10.classNames[label]}" (label ${label}), expected ${expected}; ${WHAT_TO_DO}`,
    );
  }
}

function countLabels(labels: Uint8Array, classes: number): number[] {
  const counts = Array.from({ length: classes }, () => 0);
  for (const label of labels) counts[label] = (counts[label] ?? 0) + 1;
  return counts;
}

/**
 * Hold out `validationCount` images, of each class its share, chosen by `random` alone. With the same
 * `random`, the images of a smaller split are among those of a larger one.
 *
 * Memory   copies; both parts keep the order of `images`
 * Errors   `config/invalid` unless 0 <= validationCount < count
 */
export function splitValidation(
  images: LabelledImages,
  options: { validationCount: number; classes: number; random: Random },
): { training: LabelledImages; validation: LabelledImages } {
  const { validationCount, classes, random } = options;
  if (!Number.isInteger(validationCount) || validationCount < 0 || validationCount >= images.count) {
    throw new ProductError(
      'config/invalid',
      `${validationCount} validation images of ${images.count}; a whole number from 0 to ${images.count - 1} is expected`,
    );
  }
  const quotas = apportion(countLabels(images.labels, classes), validationCount);
  const isHeldOut = new Uint8Array(images.count);
  for (const [label, quota] of quotas.entries()) {
    const members = indicesOf(images.labels, label);
    const order = random.fork('validation', label).shuffle(members.length);
    for (const place of order.subarray(0, quota)) isHeldOut[members[place] ?? 0] = 1;
  }
  return {
    training: selectImages(images, indicesOf(isHeldOut, 0)),
    validation: selectImages(images, indicesOf(isHeldOut, 1)),
  };
}

/**
 * Share `total` out in proportion to `counts`, one by one (Webster's method): a larger total takes nothing from anybody, so a
 * smaller validation split is part of a larger one.
 */
function apportion(counts: readonly number[], total: number): number[] {
  const shares = counts.map(() => 0);
  for (let given = 0; given < total; given++) {
    const claims = counts.map((count, label) => count / (2 * (shares[label] ?? 0) + 1));
    const next = claims.indexOf(Math.max(...claims));
    shares[next] = (shares[next] ?? 0) + 1;
  }
  return shares;
}

function indicesOf(values: Uint8Array, wanted: number): number[] {
  return [...values.keys()].filter((index) => values[index] === wanted);
}

function selectImages(images: LabelledImages, indices: readonly number[]): LabelledImages {
  const size = images.pixels.length / images.count;
  const selected = allocateImages(indices.length, size);
  for (const [target, index] of indices.entries()) {
    selected.pixels.set(images.pixels.subarray(index * size, (index + 1) * size), target * size);
    selected.labels[target] = images.labels[index] ?? 0;
  }
  return selected;
}
