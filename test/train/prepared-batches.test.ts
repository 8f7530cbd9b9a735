/** The thread that makes batches: the same bits as without it, from any step on, and what happens when it fails. */
import { afterEach, describe, expect, it } from 'vitest';
import { trainingBatches } from '../../train/batches.ts';
import type { Batch } from '../../train/batches.ts';
import { PreparedBatches } from '../../train/prepared-batches.ts';
import type { EpochOptions } from '../../train/prepared-batches.ts';
import { createRandom } from '../../train/random.ts';
import { createTinyDataset } from '../support/tiny-run.ts';

const { training: images, imageShape, normalization } = createTinyDataset();
const first: EpochOptions = {
  imageShape,
  normalization,
  batchSize: 13,
  augment: { flip: 'random', crop: { padding: 2, mode: 'reflect' }, cutout: { size: 3 } },
  epoch: 0,
  firstStep: 0,
  seed: 7,
  keys: ['batches', 'more'],
};

function makeHere({ seed, keys, ...options }: EpochOptions, pictures = images): Batch[] {
  return [...trainingBatches({ ...options, images: pictures, random: createRandom(seed).fork(...keys) })];
}

async function collect(batches: AsyncIterable<Batch>): Promise<Batch[]> {
  const collected: Batch[] = [];
  for await (const batch of batches) collected.push(batch);
  return collected;
}

describe('PreparedBatches', () => {
  const prepared = new PreparedBatches();
  afterEach(() => prepared.close());

  it('gives the batches that are made without a thread, bit for bit, in each epoch and from any step on', async () => {
    const imageWeights = Float32Array.from({ length: images.count }, (_, index) => index % 2);
    const weighted = { ...first, imageWeights };
    for (const options of [first, { ...first, epoch: 1 }, { ...first, epoch: 1, firstStep: 3 }, weighted]) {
      const batches = await collect(prepared.run(images, options));
      expect(batches).toHaveLength((options === weighted ? 3 : 5) - options.firstStep);
      expect(batches).toEqual(makeHere(options));
    }
  });

  it('gives those of the new pictures and of the new epoch after one was left in the middle', async () => {
    for await (const batch of prepared.run(images, first)) {
      expect(batch).toEqual(makeHere(first)[0]);
      break;
    }
    const { training: others } = createTinyDataset({ seed: 2 });
    expect(await collect(prepared.run(others, first))).toEqual(makeHere(first, others));
  });

  it('throws what the making of a batch throws, and works again after it was closed', async () => {
    const broken = { ...first, imageShape: [9, 9, 3] as const };
    await expect(collect(prepared.run(images, broken))).rejects.toThrow('internal: batches of 13');
    await expect(collect(prepared.run(images, first))).rejects.toThrow('internal: batches of 13');
    await prepared.close();
    expect(await collect(prepared.run(images, first))).toEqual(makeHere(first));
  });
});
