import { describe, expect, it } from 'vitest';
import { findReasons, findThresholds, measureRoughness, scoreCertainty } from '../../shared/abstention.ts';

describe('scoreCertainty', () => {
  it('is the greatest probability at the temperature', () => {
    expect(scoreCertainty([0, 2], 'probability', 2)).toBeCloseTo(1 / (1 + Math.exp(-1)), 12);
  });

  it('is the log of the sum of the powers, for large logits too', () => {
    expect(scoreCertainty([Math.log(2), Math.log(3)], 'energy', 1)).toBeCloseTo(Math.log(5), 12);
    expect(scoreCertainty([2 * Math.log(2), 2 * Math.log(3)], 'energy', 2)).toBeCloseTo(Math.log(5), 12);
    expect(scoreCertainty([5000, 5000], 'energy', 1)).toBeCloseTo(5000 + Math.LN2, 9);
  });
});

it.each(['probability', 'energy'] as const)('a model that puts out NaN does not know by its %s', (score) => {
  const certainty = scoreCertainty([1, Number.NaN, 3], score, 1);
  const thresholds = { threshold: 0.1, roughness: { min: 0, max: 255 } };
  expect(findReasons({ score: certainty, roughness: 10 }, thresholds)).toEqual(['unsure']);
});

describe('measureRoughness', () => {
  it('is the mean difference of all neighbours, channel by channel', () => {
    // Beside: 4 and 4; below: 10 and 2. The other channel is flat.
    const pixels = Uint8Array.of(0, 9, 4, 9, 10, 9, 6, 9);
    expect(measureRoughness(pixels, [2, 2, 2])).toBe((4 + 4 + 10 + 2) / 8);
  });

  it('is 0 for one pixel', () => {
    expect(measureRoughness(Uint8Array.of(200), [1, 1, 1])).toBe(0);
  });
});

describe('findThresholds', () => {
  const images = Array.from({ length: 1000 }, (_, index) => ({ score: index, roughness: (index * 7) % 1000 }));
  const thresholds = findThresholds(images, { unsure: 0.04, rough: 0.005 });

  it('costs the stated shares, and says how many pass all of them', () => {
    expect(thresholds).toMatchObject({ threshold: 40, roughness: { min: 5, max: 994 } });
    const passing = images.filter(({ score, roughness }) => score >= 40 && roughness >= 5 && roughness <= 994).length;
    expect(thresholds.coverage).toBe(passing / 1000);
    expect(passing).toBeGreaterThanOrEqual(950);
  });

  it.each([
    [{ score: 40, roughness: 5 }, []],
    [{ score: 39.9, roughness: 994 }, ['unsure']],
    [{ score: 100, roughness: 4.9 }, ['too-smooth']],
    [{ score: 0, roughness: 995 }, ['unsure', 'too-rough']],
    [{ score: Number.NaN, roughness: 100 }, ['unsure']],
    [{ score: Number.NaN, roughness: 995 }, ['unsure', 'too-rough']],
    [{ score: 100, roughness: Number.NaN }, ['unsure']],
  ])('judges %j as %j', (image, reasons) => {
    expect(findReasons(image, thresholds)).toEqual(reasons);
  });
});
