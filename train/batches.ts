/**
 * From labelled images to batches: order of an epoch, augmentation, normalisation. An epoch's batches are a pure function
 * of the run's seed, the epoch and the images' weights, so that a run resumes in the middle of an epoch with the batches it would have seen.
 */
import { normalizePixels } from '../shared/normalize.ts';
import type { Normalization } from '../shared/normalize.ts';
import { sizeOf } from '../shared/resnet.ts';
import { applyAugmentation, drawAugmentation } from './augment.ts';
import type { AugmentConfig, AugmentFrame } from './augment.ts';
import type { LabelledImages } from './dataset.ts';
import type { Random } from './random.ts';

export interface Batch {
  /** [count, height, width, channels], normalised */
  images: Float32Array<ArrayBuffer>;
  /** [height, width, channels] */
  imageShape: readonly [number, number, number];
  /** [count], class ids */
  labels: Uint8Array<ArrayBuffer>;
  /** [count], how much each image counts in the loss; absent: all the same. */
  weights?: Float32Array<ArrayBuffer>;
  count: number;
}

export interface TrainingBatch extends Batch {
  /** [count], of the images in their data set */
  indices: Uint32Array<ArrayBuffer>;
}

export interface BatchSource {
  images: LabelledImages;
  /** [height, width, channels] */
  imageShape: readonly [number, number, number];
  normalization: Normalization;
  batchSize: number;
}

export interface TrainingBatchOptions extends BatchSource {
  augment: AugmentConfig;
  /** From 0. */
  epoch: number;
  /** The generator of the run; it is only forked. */
  random: Random;
  /** How many batches of the epoch to leave out: where a resumed run goes on. */
  firstStep: number;
  /** [images]; an image of weight 0 is left out. Absent: each image once, all with the same weight. */
  imageWeights?: Float32Array;
}

/** Number of batches of one epoch; the last one may be smaller. */
export function stepsPerEpoch(count: number, batchSize: number): number {
  return Math.ceil(count / batchSize);
}

/** The batches of one epoch, each image that has a weight once, in an order of the epoch's own. */
export function* trainingBatches(options: TrainingBatchOptions): Generator<TrainingBatch, void, undefined> {
  const { images, imageShape, normalization, augment, epoch } = options;
  const { imageWeights, firstStep } = options;
  const all = options.random.fork('order', epoch).shuffle(images.count);
  const order = imageWeights === undefined ? all : all.filter((imageIndex) => (imageWeights[imageIndex] ?? 0) > 0);
  const random = options.random.fork('augment');
  const frame: AugmentFrame = {
    imageShape,
    cropMode: augment.crop?.mode ?? 'zero',
    fill: normalization.mean.map((mean) => Math.round(mean * 255)),
  };
  const gathered = gatherBatches(options, { count: order.length, firstStep }, (place, target) => {
    const imageIndex = order[place] ?? 0;
    const choice = drawAugmentation(augment, random, { epoch, imageIndex, imageShape });
    applyAugmentation(pixelsOf(images, imageIndex), choice, frame, target);
    return imageIndex;
  });
  for (const batch of gathered) {
    if (imageWeights === undefined) yield batch;
    else yield { ...batch, weights: Float32Array.from(batch.indices, (imageIndex) => imageWeights[imageIndex] ?? 0) };
  }
}

/** Every image exactly once, in order, unchanged but for the normalisation. */
export function* evaluationBatches(options: BatchSource): Generator<Batch, void, undefined> {
  yield* gatherBatches(options, { count: options.images.count, firstStep: 0 }, (place, target) => {
    target.set(pixelsOf(options.images, place));
    return place;
  });
}

/** Cut the places 0 .. count - 1 into batches; `fetch` writes the pixels of a place and returns the image's index. */
function* gatherBatches(
  { images, imageShape, normalization, batchSize }: BatchSource,
  { count: places, firstStep }: { count: number; firstStep: number },
  fetch: (place: number, target: Uint8Array<ArrayBuffer>) => number,
): Generator<TrainingBatch, void, undefined> {
  const imageSize = sizeOf(imageShape);
  if (images.pixels.length !== images.count * imageSize || !(batchSize >= 1)) {
    throw new RangeError(
      `internal: batches of ${batchSize} from ${images.count} images of ${imageSize} values in ${images.pixels.length}`,
    );
  }
  const pixels = new Uint8Array(batchSize * imageSize);
  for (let step = firstStep; step < stepsPerEpoch(places, batchSize); step++) {
    const count = Math.min(batchSize, places - step * batchSize);
    const labels = new Uint8Array(count);
    const indices = new Uint32Array(count);
    for (let index = 0; index < count; index++) {
      const imageIndex = fetch(step * batchSize + index, pixels.subarray(index * imageSize, (index + 1) * imageSize));
      labels[index] = images.labels[imageIndex] ?? 0;
      indices[index] = imageIndex;
    }
    const normalized = normalizePixels(pixels.subarray(0, count * imageSize), normalization);
    yield { images: normalized, imageShape, labels, indices, count };
  }
}

function pixelsOf({ pixels, count }: LabelledImages, index: number): Uint8Array {
  const size = pixels.length / count;
  return pixels.subarray(index * size, (index + 1) * size);
}
