/**
 * From labelled images to batches: order of an epoch, augmentation, normalisation. An epoch's batches are a pure function
 * of the run's seed and the epoch, so that a run resumes in the middle of an epoch with the batches it would have seen.
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
  count: number;
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
}

/** Number of batches of one epoch; the last one may be smaller. */
export function stepsPerEpoch(count: number, batchSize: number): number {
  return Math.ceil(count / batchSize);
}

/** The batches of one epoch, each image once, in an order of the epoch's own. */
export function* trainingBatches(options: TrainingBatchOptions): Generator<Batch, void, undefined> {
  const { images, imageShape, normalization, augment, epoch } = options;
  const order = options.random.fork('order', epoch).shuffle(images.count);
  const random = options.random.fork('augment');
  const frame: AugmentFrame = {
    imageShape,
    cropMode: augment.crop?.mode ?? 'zero',
    fill: normalization.mean.map((mean) => Math.round(mean * 255)),
  };
  yield* gatherBatches(options, options.firstStep, (place, target) => {
    const imageIndex = order[place] ?? 0;
    const choice = drawAugmentation(augment, random, { epoch, imageIndex, imageShape });
    applyAugmentation(pixelsOf(images, imageIndex), choice, frame, target);
    return imageIndex;
  });
}

/** Every image exactly once, in order, unchanged but for the normalisation. */
export function* evaluationBatches(options: BatchSource): Generator<Batch, void, undefined> {
  yield* gatherBatches(options, 0, (place, target) => {
    target.set(pixelsOf(options.images, place));
    return place;
  });
}

/** Cut the places 0 .. count - 1 into batches; `fetch` writes the pixels of a place and returns the image's index. */
function* gatherBatches(
  { images, imageShape, normalization, batchSize }: BatchSource,
  firstStep: number,
  fetch: (place: number, target: Uint8Array<ArrayBuffer>) => number,
): Generator<Batch, void, undefined> {
  const imageSize = sizeOf(imageShape);
  if (images.pixels.length !== images.count * imageSize || !(batchSize >= 1)) {
    throw new RangeError(
      `internal: batches of ${batchSize} from ${images.count} images of ${imageSize} values in ${images.pixels.length}`,
    );
  }
  const pixels = new Uint8Array(batchSize * imageSize);
  for (let step = firstStep; step < stepsPerEpoch(images.count, batchSize); step++) {
    const count = Math.min(batchSize, images.count - step * batchSize);
    const labels = new Uint8Array(count);
    for (let index = 0; index < count; index++) {
      const imageIndex = fetch(step * batchSize + index, pixels.subarray(index * imageSize, (index + 1) * imageSize));
      labels[index] = images.labels[imageIndex] ?? 0;
    }
    yield { images: normalizePixels(pixels.subarray(0, count * imageSize), normalization), imageShape, labels, count };
  }
}

function pixelsOf({ pixels, count }: LabelledImages, index: number): Uint8Array {
  const size = pixels.length / count;
  return pixels.subarray(index * size, (index + 1) * size);
}
