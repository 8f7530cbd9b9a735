/** The training batches of a run: which pictures, in which size, drawn with which keys, in each epoch. */
import { stepsPerEpoch, trainingBatches } from './batches.ts';
import type { TrainingBatch } from './batches.ts';
import type { CheckpointTensor } from './checkpoint.ts';
import type { TrainConfig } from './config.ts';
import type { Dataset, LabelledImages } from './dataset.ts';
import { ImageWeights } from './easy-images.ts';
import { imageSizeAt, resizeImages } from './image-sizes.ts';
import { PreparedBatches } from './prepared-batches.ts';
import type { EpochOptions } from './prepared-batches.ts';
import { createRandom } from './random.ts';

export interface EpochBatchesOptions {
  config: TrainConfig;
  dataset: Pick<Dataset, 'imageShape' | 'normalization'>;
  /** What is trained on. */
  images: LabelledImages;
}

/** Owns the thread that makes the batches: `close` it. */
export class EpochBatches {
  readonly #options: EpochBatchesOptions;
  readonly #prepared = new PreparedBatches();
  /** The pictures in the size of the current epoch, where that is not their own. */
  #resized: { size: number; images: LabelledImages } | undefined;

  /** Where easy images are left out. */
  readonly #weights: ImageWeights | undefined;

  constructor(options: EpochBatchesOptions) {
    this.#options = options;
    const { config, images } = options;
    if (config.easyImages === undefined) return;
    const random = createRandom(config.seed).fork('easy images', ...startKey(config));
    this.#weights = new ImageWeights(config.easyImages, { images: images.count, epochs: config.epochs, random });
  }

  /** Of an epoch (from 0) that has begun. */
  stepsIn(epoch: number): number {
    const count = this.#weights?.ofEpoch(epoch)?.kept ?? this.#options.images.count;
    return stepsPerEpoch(count, this.#options.config.batchSize);
  }

  /** What a step of an epoch (from 0) found for the images of its batch: losses [count]. */
  record(epoch: number, batch: TrainingBatch, losses: Float32Array): void {
    this.#weights?.record(epoch, batch.indices, losses);
  }

  /** What a run needs to go on inside or behind this epoch (from 0), if it needs anything. */
  snapshot(epoch: number): Map<string, CheckpointTensor> | undefined {
    return this.#weights?.snapshot(epoch);
  }

  /** Go on from a {@link snapshot}. Errors: `checkpoint/mismatch`. */
  restore(epoch: number, tensors: ReadonlyMap<string, CheckpointTensor>): void {
    this.#weights?.restore(epoch, tensors);
  }

  /** The batches of an epoch (from 0) from the given step on, made beside what the caller computes. */
  run(epoch: number, firstStep: number): AsyncGenerator<TrainingBatch, void, undefined> {
    const { images, ...options } = this.#describe(epoch, firstStep);
    return this.#prepared.run(images, options);
  }

  /** The first batches of an epoch, made here and now. */
  *first(epoch: number, count: number): Generator<TrainingBatch, void, undefined> {
    const { seed, keys, ...options } = this.#describe(epoch, 0);
    let taken = 0;
    for (const batch of trainingBatches({ ...options, random: createRandom(seed).fork(...keys) })) {
      if (taken++ === count) return;
      yield batch;
    }
  }

  async close(): Promise<void> {
    await this.#prepared.close();
  }

  #describe(epoch: number, firstStep: number): EpochOptions & { images: LabelledImages } {
    const { config, dataset, images } = this.#options;
    const [fullSize, , channels] = dataset.imageShape;
    const imageWeights = this.#weights?.ofEpoch(epoch)?.weights;
    const size = imageSizeAt(config.imageSizes ?? [], { epoch, epochs: config.epochs, fullSize });
    if (size !== fullSize && this.#resized?.size !== size) {
      this.#resized = { size, images: resizeImages(images, dataset.imageShape, size) };
    }
    return {
      images: size === fullSize || this.#resized === undefined ? images : this.#resized.images,
      imageShape: size === fullSize ? dataset.imageShape : [size, size, channels],
      normalization: dataset.normalization,
      batchSize: config.batchSize,
      augment: config.augment,
      epoch,
      seed: config.seed,
      keys: ['batches', ...startKey(config)],
      firstStep,
      ...(imageWeights === undefined ? {} : { imageWeights }),
    };
  }
}

/** A run that goes on from another one draws orders and augmentations of its own, not the other run's again. */
function startKey({ startsFrom }: TrainConfig): string[] {
  return startsFrom === null ? [] : [startsFrom.parametersSha256];
}
