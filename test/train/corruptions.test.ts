import { describe, expect, it } from 'vitest';
import { CORRUPTION_NAMES, corruptPicture, SEVERITIES } from '../../train/corruptions.ts';
import type { CorruptionName, Picture, Severity } from '../../train/corruptions.ts';
import { createRandom } from '../../train/random.ts';

const SHAPE = [32, 32, 3] as const;

/** Smooth, with an edge and some texture. */
function drawPicture(): Picture {
  const pixels = Uint8Array.from({ length: 32 * 32 * 3 }, (_, index) => {
    const [y, x, channel] = [Math.floor(index / 96), Math.floor(index / 3) % 32, index % 3];
    return 90 + 2 * y + (x > 16 ? 60 : 0) + ((x + y) % 4) * 6 - 10 * channel;
  });
  return { pixels, shape: SHAPE };
}

function corrupt(name: CorruptionName, severity: Severity, picture = drawPicture(), seed = 1): Uint8Array {
  return corruptPicture(picture, { name, severity, random: createRandom(seed) });
}

function distance(a: Uint8Array, b: Uint8Array): number {
  return Math.sqrt(a.reduce((sum, value, index) => sum + (value - (b[index] ?? 0)) ** 2, 0) / a.length);
}

const mean = (values: Uint8Array): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const grey = (value: number, shape: Picture['shape'] = SHAPE): Picture => ({
  pixels: new Uint8Array(shape[0] * shape[1] * shape[2]).fill(value),
  shape,
});

describe.each(CORRUPTION_NAMES)('%s', (name) => {
  it('is the same for the same picture and seed, and leaves the picture as it was', () => {
    const picture = drawPicture();
    const before = picture.pixels.slice();
    expect(corrupt(name, 2, picture)).toEqual(corrupt(name, 2, picture));
    expect(picture.pixels).toEqual(before);
  });

  it('does more at each severity', () => {
    const { pixels } = drawPicture();
    const distances = SEVERITIES.map((severity) => distance(pixels, corrupt(name, severity)));
    expect(distances[0]).toBeGreaterThan(0.5);
    expect(distances).toEqual(distances.toSorted((a, b) => a - b));
    expect(new Set(distances).size).toBe(3);
  });
});

describe('each corruption does what its name says', () => {
  it('noise has the stated deviation around the picture, other seeds other noise', () => {
    const noisy = corrupt('noise', 2, grey(128));
    expect(mean(noisy)).toBeCloseTo(128, -0.5);
    expect(distance(grey(128).pixels, noisy)).toBeGreaterThan(19);
    expect(distance(grey(128).pixels, noisy)).toBeLessThan(21);
    expect(corrupt('noise', 2, grey(128), 2)).not.toEqual(noisy);
  });

  it('impulses are black and white, in the stated share', () => {
    const changed = corrupt('impulse', 3, grey(128)).filter((value) => value !== 128);
    expect(new Set(changed)).toEqual(new Set([0, 255]));
    expect(changed.length / 3072).toBeGreaterThan(0.05);
    expect(changed.length / 3072).toBeLessThan(0.09);
  });

  it('a blur spreads a point evenly and keeps its light', () => {
    const point = grey(0);
    point.pixels.fill(255, (16 * 32 + 16) * 3, (16 * 32 + 16) * 3 + 3);
    const spread = corrupt('blur', 3, point);
    const at = (y: number, x: number): number => spread[(y * 32 + x) * 3] ?? -1;
    expect(at(16, 16)).toBeGreaterThan(at(16, 17));
    expect([at(15, 16), at(17, 16), at(16, 15)]).toEqual([at(16, 17), at(16, 17), at(16, 17)]);
    expect(mean(spread) * 1024).toBeGreaterThan(240);
    expect(mean(spread) * 1024).toBeLessThan(270);
    expect(corrupt('blur', 3, grey(77))).toEqual(grey(77).pixels);
  });

  it('brightness moves all values by the same, up or down, and stops at white', () => {
    const moved = Array.from({ length: 20 }, (_, seed) => corrupt('brightness', 2, grey(128), seed)[0]);
    expect(new Set(moved)).toEqual(new Set([78, 178]));
    const white = Array.from({ length: 20 }, (_, seed) => corrupt('brightness', 3, grey(250), seed)[0]);
    expect(new Set(white)).toEqual(new Set([175, 255]));
  });

  it('contrast draws the values of each channel to their mean', () => {
    const picture = grey(100, [1, 2, 3]);
    picture.pixels.set([0, 50, 100, 200, 150, 100]);
    expect([...corrupt('contrast', 3, picture)]).toEqual([75, 88, 100, 125, 112, 100]);
  });

  it('larger pixels are means of those that they replace', () => {
    const picture = { pixels: Uint8Array.from([10, 20, 30, 40]), shape: [2, 2, 1] } as const;
    expect([...corrupt('pixelate', 2, picture)]).toEqual([25, 25, 25, 25]);
  });

  it('JPEG leaves flat blocks flat, at the nearest step', () => {
    // Quality 60: the step of the block's mean is 13 / 8; 200 - 128 = 72 is 44.3 of them.
    expect(new Set(corrupt('jpeg', 1, grey(200)))).toEqual(new Set([Math.round(128 + (44 * 13) / 8)]));
    expect(corrupt('jpeg', 3, grey(128, [5, 11, 1]))).toEqual(grey(128, [5, 11, 1]).pixels);
  });
});
