/**
 * Leaving easy images out: of those whose latest loss is below the mean, a share is left out of each epoch, by chance.
 * The ones that stay count for them too, so the expected gradient is still that of all images, for fewer steps.
 *
 * Source: Qin et al. 2024, arXiv:2303.04947, section 2; weights have the mean 1 here, so the learning rate keeps its meaning.
 */
import { z } from 'zod';
import type { CheckpointTensor } from './checkpoint.ts';
import type { Random } from './random.ts';

export const easyImagesSchema = z
  .strictObject({
    /** Of the easy images, in each epoch. */
    leftOutShare: z.number().gt(0).lt(1),
    /** The shares of the epochs between which this is done. The first epoch of them has all images: it measures. */
    fromShare: z.number().min(0).lt(1),
    untilShare: z.number().gt(0).max(1),
  })
  .refine(({ fromShare, untilShare }) => fromShare < untilShare, { error: 'fromShare must be below untilShare' });

export type EasyImages = z.infer<typeof easyImagesSchema>;

interface EpochWeights {
  epoch: number;
  /** [images]; 0 leaves an image out, the mean of the others is 1. Undefined: all images, with the same weight. */
  weights: Float32Array<ArrayBuffer> | undefined;
}

/** Whether losses are known when this epoch (from 0) begins. */
export function knowsLosses(config: EasyImages, { epoch, epochs }: { epoch: number; epochs: number }): boolean {
  return epoch > firstEpochOf(config, epochs) && epoch < endOf(config, epochs);
}

const firstEpochOf = ({ fromShare }: EasyImages, epochs: number): number => Math.round(fromShare * epochs);
const endOf = ({ untilShare }: EasyImages, epochs: number): number => Math.round(untilShare * epochs);

/** The latest loss of each training image, and the weights of the current epoch. */
export class ImageWeights {
  readonly #config: EasyImages;
  readonly #epochs: number;
  readonly #random: Random;
  /** [images], in nats; not a number: not seen yet. */
  #losses: Float32Array<ArrayBuffer>;
  #current: EpochWeights = { epoch: -1, weights: undefined };

  /** `random` is only forked. */
  constructor(config: EasyImages, { images, epochs, random }: { images: number; epochs: number; random: Random }) {
    this.#config = config;
    this.#epochs = epochs;
    this.#random = random;
    this.#losses = new Float32Array(images).fill(Number.NaN);
  }

  /** The weights of an epoch (from 0). Asked for a new epoch, they follow from the losses of now, and then stay. */
  ofEpoch(epoch: number): Float32Array<ArrayBuffer> | undefined {
    if (this.#current.epoch !== epoch) this.#current = { epoch, weights: this.#draw(epoch) };
    return this.#current.weights;
  }

  #draw(epoch: number): Float32Array<ArrayBuffer> | undefined {
    if (!knowsLosses(this.#config, { epoch, epochs: this.#epochs })) return undefined;
    const known = this.#losses.filter((loss) => !Number.isNaN(loss));
    if (known.length === 0) return undefined;
    const mean = known.reduce((sum, loss) => sum + loss, 0) / known.length;
    const { leftOutShare } = this.#config;
    const random = this.#random.fork(epoch);
    // Every image draws, so that one image's loss does not move the draws of others.
    const weights = this.#losses.map((loss) => {
      const isLeftOut = random.next() < leftOutShare;
      if (!(loss < mean)) return 1;
      return isLeftOut ? 0 : 1 / (1 - leftOutShare);
    });
    const sum = weights.reduce((total, weight) => total + weight, 0);
    const kept = weights.filter((weight) => weight > 0).length;
    return weights.map((weight) => (weight * kept) / sum);
  }

  /** What a step of the epoch found: indices [count] of training images, losses [count]. */
  record(epoch: number, indices: Uint32Array, losses: Float32Array): void {
    if (epoch < firstEpochOf(this.#config, this.#epochs) || epoch >= endOf(this.#config, this.#epochs)) return;
    indices.forEach((image, index) => {
      this.#losses[image] = losses[index] ?? Number.NaN;
    });
  }

  /** For a checkpoint in this epoch: `loss` [images] and, where images are left out, `weight` [images]. */
  snapshot(epoch: number): Map<string, CheckpointTensor> | undefined {
    if (this.#losses.every((loss) => Number.isNaN(loss)) || epoch >= endOf(this.#config, this.#epochs))
      return undefined;
    const shape = [this.#losses.length];
    const tensors = new Map<string, CheckpointTensor>([['loss', { shape, values: this.#losses.slice() }]]);
    const { weights } = this.#current;
    if (this.#current.epoch === epoch && weights !== undefined)
      tensors.set('weight', { shape, values: weights.slice() });
    return tensors;
  }

  /** Go on from a {@link snapshot} of the same epoch. */
  restore(epoch: number, tensors: ReadonlyMap<string, CheckpointTensor>): void {
    this.#losses = Float32Array.from(tensors.get('loss')?.values ?? this.#losses);
    const weight = tensors.get('weight');
    if (weight !== undefined) this.#current = { epoch, weights: Float32Array.from(weight.values) };
  }
}
