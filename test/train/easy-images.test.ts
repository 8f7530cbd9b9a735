import { describe, expect, it } from 'vitest';
import { easyImagesSchema, ImageWeights, leavesOut } from '../../train/easy-images.ts';
import { createRandom } from '../../train/random.ts';

const CONFIG = { leftOutShare: 0.75, fromShare: 0.25, untilShare: 0.75 };
const IMAGES = 4000;

/** Losses 1, 2, 3 and 10 in turns: three quarters of the images are below the mean of 4. */
const losses = Float32Array.from({ length: IMAGES }, (_, index) => [1, 2, 3, 10][index % 4] ?? 0);
const indices = Uint32Array.from(losses, (_, index) => index);

function create(): ImageWeights {
  return new ImageWeights(CONFIG, { images: IMAGES, epochs: 8, random: createRandom(3) });
}

function sum(values: Float32Array): number {
  return values.reduce((total, value) => total + value, 0);
}

describe('easyImages', () => {
  it('names parts of a run that have a length', () => {
    expect(easyImagesSchema.safeParse(CONFIG).success).toBe(true);
    for (const wrong of [{ leftOutShare: 1 }, { leftOutShare: 0 }, { fromShare: 0.75 }, { untilShare: 1.1 }]) {
      expect(easyImagesSchema.safeParse({ ...CONFIG, ...wrong }).success, JSON.stringify(wrong)).toBe(false);
    }
  });

  it('measures in the first epoch of its part and leaves images out of the others, never out of the last of a run', () => {
    const epochs = Array.from({ length: 8 }, (_, epoch) => epoch);
    const inEpochs = (config: typeof CONFIG) => epochs.filter((epoch) => leavesOut(config, { epoch, epochs: 8 }));
    expect(inEpochs(CONFIG)).toEqual([3, 4, 5]);
    expect(inEpochs({ ...CONFIG, untilShare: 1 })).toEqual([3, 4, 5, 6]);
  });
});

describe('ImageWeights', () => {
  it('leaves the asked share of the easy images out, and lets the others stand for them', () => {
    const weights = create();
    weights.record(2, indices, losses);
    const { weights: drawn, kept: count } = weights.ofEpoch(3) ?? { weights: new Float32Array(), kept: 0 };
    const easy = drawn.filter((_, index) => index % 4 < 3);
    const hard = drawn.filter((_, index) => index % 4 === 3);
    const kept = drawn.filter((weight) => weight > 0);
    expect(kept).toHaveLength(count);
    // 3,000 easy ones stay with probability 1/4: a deviation is 24.
    expect(Math.abs(easy.filter((weight) => weight > 0).length - 750)).toBeLessThan(100);
    expect(new Set(hard).size).toBe(1);
    expect(Math.max(...easy) / (hard[0] ?? 0)).toBeCloseTo(4, 5);
    expect(sum(kept) / kept.length).toBeCloseTo(1, 5);
    // The weighted loss of the kept images estimates the mean loss of all.
    const weighted = drawn.reduce((total, weight, index) => total + weight * (losses[index] ?? 0), 0) / sum(drawn);
    expect(Math.abs(weighted - 4)).toBeLessThan(0.25);
  });

  it('draws anew in each epoch, keeps what it drew in the current one, and repeats it from the same seed', () => {
    const [one, other] = [create(), create()];
    for (const each of [one, other]) each.record(2, indices, losses);
    const first = one.ofEpoch(3);
    one.record(3, indices, losses.toReversed());
    expect(one.ofEpoch(3)).toBe(first);
    expect(other.ofEpoch(3)).toEqual(first);
    other.record(3, indices, losses);
    expect(other.ofEpoch(4)).not.toEqual(first);
  });

  it('has all images outside of its part, and while nothing is known', () => {
    const weights = create();
    expect(weights.ofEpoch(3)).toBeUndefined();
    weights.record(1, indices, losses);
    expect(weights.snapshot(1)).toBeUndefined();
    weights.record(2, indices, losses);
    for (const epoch of [0, 1, 2, 6, 7]) expect(weights.ofEpoch(epoch), `epoch ${epoch}`).toBeUndefined();
    expect(weights.snapshot(6)).toBeUndefined();
  });

  it('never leaves out an image whose loss it does not know', () => {
    const weights = create();
    weights.record(2, indices.subarray(0, 2000), losses.subarray(0, 2000));
    const unseen = weights.ofEpoch(3)?.weights.subarray(2000) ?? new Float32Array();
    expect(unseen).toHaveLength(2000);
    expect(new Set(unseen).size).toBe(1);
    expect(unseen[0]).toBeGreaterThan(0);
  });

  it('goes on from a snapshot, inside an epoch and behind it', () => {
    const original = create();
    original.record(2, indices, losses);
    const behind = original.snapshot(3);
    const drawn = original.ofEpoch(3);
    original.record(3, indices, losses.toReversed());
    const inside = original.snapshot(3);

    const first = create();
    first.restore(3, behind ?? new Map());
    expect(first.ofEpoch(3)).toEqual(drawn);
    const second = create();
    second.restore(3, inside ?? new Map());
    expect(second.ofEpoch(3)).toEqual(drawn);
    expect(second.ofEpoch(4)).toEqual(original.ofEpoch(4));
  });

  it('refuses a snapshot of other images', () => {
    const original = new ImageWeights(CONFIG, { images: 12, epochs: 8, random: createRandom(3) });
    original.record(2, Uint32Array.of(0), Float32Array.of(1));
    const mismatch = { code: 'checkpoint/mismatch', message: expect.stringContaining('[4000] is expected') };
    expect(() => create().restore(3, original.snapshot(3) ?? new Map())).toThrow(expect.objectContaining(mismatch));
    expect(() => create().restore(3, new Map())).toThrow(expect.objectContaining(mismatch));
  });
});
