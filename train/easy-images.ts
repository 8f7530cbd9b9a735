/**
 * Leaving easy images out: of those whose latest loss is below the mean, a share is left out of each epoch, by chance.
 * The ones that stay count for them too, so the expected gradient of a step is still the mean over all images, with less
 * noise; an epoch has fewer steps.
 *
 * Source: Qin et al. 2024, arXiv:2303.04947, section 2. There each step goes further by as much as steps are missing; here
 * weights have the mean 1, so that the learning rate keeps its meaning.
 */
import { z } from 'zod';
import { ProductError } from '../shared/errors.ts';
import type { CheckpointTensor } from './checkpoint.ts';
import type { Random } from './random.ts';

export const easyImagesSchema = z
  .strictObject({
    /** Of the easy images, in each epoch. */
    leftOutShare: z.number().gt(0).lt(1),
    /**
     * The shares of the epochs between which this is done. The first epoch of them has all images, because it measures;
     * the last one of the run has all images in any case.
     */
    fromShare: z.number().min(0).lt(1),
    untilShare: z.number().gt(0).max(1),
  })
  .refine(({ fromShare, untilShare }) => fromShare < untilShare, { error: 'fromShare must be below untilShare' });

export type EasyImages = z.infer<typeof easyImagesSchema>;

export interface EpochWeights {
  /** [images]; 0 leaves an image out, the mean of the others is 1. */
  weights: Float32Array<ArrayBuffer>;
  /** Images that are not left out. */
  kept: number;
}

/** Whether images are left out of this epoch (from 0): losses are known when it begins. */
export function leavesOut(config: EasyImages, { epoch, epochs }: { epoch: number; epochs: number }): boolean {
  return epoch > firstEpochOf(config, epochs) && epoch < endOf(config, epochs);
}

const firstEpochOf = ({ fromShare }: EasyImages, epochs: number): number => Math.round(fromShare * epochs);
const endOf = ({ untilShare }: EasyImages, epochs: number): number =>
  Math.min(Math.round(untilShare * epochs), epochs - 1);

/** The latest loss of each training image, and the weights of the current epoch. */
export class ImageWeights {
  readonly #config: EasyImages;
  readonly #epochs: number;
  readonly #random: Random;
  /** [images], in nats; not a number: not seen yet. */
  #losses: Float32Array<ArrayBuffer>;
  #current: { epoch: number; drawn: EpochWeights | undefined } = { epoch: -1, drawn: undefined };

  /** `random` is only forked. */
  constructor(config: EasyImages, { images, epochs, random }: { images: number; epochs: number; random: Random }) {
    this.#config = config;
    this.#epochs = epochs;
    this.#random = random;
    this.#losses = new Float32Array(images).fill(Number.NaN);
  }

  /**
   * The weights of an epoch (from 0); undefined: all images, with the same weight. Asked for a new epoch, which must
   * therefore have begun, they follow from the losses of now, and then stay.
   */
  ofEpoch(epoch: number): EpochWeights | undefined {
    if (this.#current.epoch !== epoch) this.#current = { epoch, drawn: this.#draw(epoch) };
    return this.#current.drawn;
  }

  #draw(epoch: number): EpochWeights | undefined {
    if (!leavesOut(this.#config, { epoch, epochs: this.#epochs })) return undefined;
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
    const kept = countKept(weights);
    return { weights: weights.map((weight) => (weight * kept) / sum), kept };
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
    const { drawn } = this.#current;
    if (this.#current.epoch === epoch && drawn !== undefined) {
      tensors.set('weight', { shape, values: drawn.weights.slice() });
    }
    return tensors;
  }

  /** Go on from a {@link snapshot} of the same epoch. Errors: `checkpoint/mismatch` for another number of images. */
  restore(epoch: number, tensors: ReadonlyMap<string, CheckpointTensor>): void {
    const read = (name: string): Float32Array<ArrayBuffer> => {
      const { shape = [], values = [] } = tensors.get(name) ?? {};
      if (shape.join() === String(this.#losses.length)) return Float32Array.from(values);
      throw new ProductError(
        'checkpoint/mismatch',
        `the checkpoint has [${shape.join(', ')}] of "${name}" for images; [${this.#losses.length}] is expected; use the data that the run was started on`,
      );
    };
    const losses = read('loss');
    if (tensors.has('weight')) {
      const weights = read('weight');
      this.#current = { epoch, drawn: { weights, kept: countKept(weights) } };
    }
    this.#losses = losses;
  }
}

function countKept(weights: Float32Array): number {
  return weights.filter((weight) => weight > 0).length;
}
