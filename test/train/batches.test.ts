import { describe, expect, it } from 'vitest';
import { evaluationBatches, stepsPerEpoch, trainingBatches } from '../../train/batches.ts';
import type { Batch, TrainingBatch, TrainingBatchOptions } from '../../train/batches.ts';
import { NO_AUGMENTATION } from '../../train/augment.ts';
import { createRandom } from '../../train/random.ts';

const COUNT = 23;
const imageShape = [4, 4, 3] as const;
const imageSize = 48;
const normalization = { mean: [0.5, 0.25, 0.125], std: [0.25, 0.5, 1] };
const noise = createRandom(99);
/** The first value of an image is its index; its label is the index modulo 10. */
const images = {
  pixels: Uint8Array.from({ length: COUNT * imageSize }, (_, at) =>
    at % imageSize === 0 ? at / imageSize : noise.nextInt(256),
  ),
  labels: Uint8Array.from({ length: COUNT }, (_, index) => index % 10),
  count: COUNT,
};
const source = { images, imageShape, normalization, batchSize: 5 };

function train(differences: Partial<TrainingBatchOptions> = {}): TrainingBatch[] {
  const options = { ...source, augment: NO_AUGMENTATION, epoch: 0, random: createRandom(1), firstStep: 0 };
  return [...trainingBatches({ ...options, ...differences })];
}

/** Which images are in the batches, found by their first value. */
function indicesIn(batches: readonly Batch[]): number[] {
  return batches.flatMap(({ images: values, count }) =>
    Array.from({ length: count }, (_, index) => Math.round(((values[index * imageSize] ?? 0) * 0.25 + 0.5) * 255)),
  );
}

const augmented: Partial<TrainingBatchOptions> = {
  augment: { flip: 'alternating', crop: { padding: 2, mode: 'reflect' }, cutout: { size: 2 } },
};

describe('trainingBatches', () => {
  it('leaves out what has no weight, keeps the order of the others, and hands their weights and indices over', () => {
    const imageWeights = Float32Array.from({ length: COUNT }, (_, index) => [0, 0.5, 1.5][index % 3] ?? 0);
    const [all, batches] = [indicesIn(train()), train({ imageWeights })];
    const expected = all.filter((index) => index % 3 > 0);
    expect(indicesIn(batches)).toEqual(expected);
    expect(batches.flatMap(({ indices }) => [...indices])).toEqual(expected);
    expect(batches.flatMap(({ weights = [] }) => [...weights])).toEqual(expected.map((index) => imageWeights[index]));
    expect(batches.map(({ count }) => count)).toEqual([5, 5, 5]);
    expect(train()[0]).not.toHaveProperty('weights');
  });

  it('shows every image once with its label, in an order of each epoch, and keeps the smaller last batch', () => {
    const epochs = [0, 1].map((epoch) => train({ epoch }));
    for (const batches of epochs) {
      expect(batches.map(({ count }) => count)).toEqual([5, 5, 5, 5, 3]);
      const indices = indicesIn(batches);
      expect(indices.toSorted((a, b) => a - b)).toEqual([...Array.from({ length: COUNT }).keys()]);
      expect(batches.flatMap(({ labels }) => [...labels])).toEqual(indices.map((index) => index % 10));
      expect(batches.map((batch) => batch.images.length)).toEqual([5, 5, 5, 5, 3].map((count) => count * imageSize));
    }
    expect(indicesIn(epochs[0] ?? [])).not.toEqual(indicesIn(epochs[1] ?? []));
  });

  it('normalises the pixels of each channel', () => {
    const [batch] = train();
    const [index = 0] = indicesIn(train());
    const pixels = images.pixels.subarray(index * imageSize, (index + 1) * imageSize);
    const expected = Array.from(pixels, (pixel, at) =>
      Math.fround((pixel / 255 - (normalization.mean[at % 3] ?? 0)) / (normalization.std[at % 3] ?? 0)),
    );
    expect([...(batch?.images.subarray(0, imageSize) ?? [])]).toEqual(expected);
  });

  it.each([1, 3, 4, 5])('goes on at step %i with the batches of the uninterrupted epoch', (firstStep) => {
    const whole = train({ ...augmented, epoch: 7 });
    expect(train({ ...augmented, epoch: 7, firstStep })).toEqual(whole.slice(firstStep));
  });

  it('changes with the seed and with the epoch, and does not use up the generator it is given', () => {
    const random = createRandom(1);
    const once = train({ ...augmented, random });
    random.next();
    expect(train({ ...augmented, random })).toEqual(once);
    expect(train({ ...augmented, random: createRandom(2) })).not.toEqual(once);
    expect(train({ ...augmented, epoch: 1 })).not.toEqual(once);
  });

  it('fills a cutout with the mean pixel, which is nearly zero after the normalisation', () => {
    const [batch] = train({ augment: { ...NO_AUGMENTATION, cutout: { size: 9 } }, batchSize: COUNT });
    // A square of 9 around any pixel of a 4 x 4 picture covers all of it.
    const tolerance = normalization.std.map((std) => 0.5 / 255 / std);
    batch?.images.forEach((value, at) => expect(Math.abs(value)).toBeLessThanOrEqual((tolerance[at % 3] ?? 0) + 1e-7));
    expect(batch?.count).toBe(COUNT);
  });

  it('gives batches of their own memory', () => {
    const batches = train({ batchSize: 10 });
    const copies = train({ batchSize: 10 }).map((batch) => [...batch.images]);
    expect(batches.map((batch) => [...batch.images])).toEqual(copies);
    expect(new Set(batches.map((batch) => batch.images.buffer)).size).toBe(3);
  });
});

describe('evaluationBatches', () => {
  it.each([1, 5, 23, 100])('shows every image exactly once and in order, %i at a time', (batchSize) => {
    const batches = [...evaluationBatches({ ...source, batchSize })];
    expect(batches.length).toBe(stepsPerEpoch(COUNT, batchSize));
    expect(indicesIn(batches)).toEqual([...Array.from({ length: COUNT }).keys()]);
    expect(batches.flatMap(({ labels }) => [...labels])).toEqual([...images.labels]);
  });

  it('has no batches for no images', () => {
    const none = { pixels: new Uint8Array(0), labels: new Uint8Array(0), count: 0 };
    expect([...evaluationBatches({ ...source, images: none })]).toEqual([]);
  });

  it('refuses images that do not have the given shape', () => {
    expect(() => [...evaluationBatches({ ...source, imageShape: [4, 4, 1] })]).toThrow('internal:');
  });
});

describe('stepsPerEpoch', () => {
  it('counts the smaller last batch', () => {
    expect([stepsPerEpoch(50_000, 128), stepsPerEpoch(256, 128), stepsPerEpoch(1, 128)]).toEqual([391, 2, 1]);
  });
});
