import { describe, expect, it } from 'vitest';
import { measureRoughness } from '../../shared/abstention.ts';
import { drawForeignPicture, FOREIGN_KINDS } from '../../train/foreign-pictures.ts';
import type { ForeignKind } from '../../train/foreign-pictures.ts';
import { createRandom } from '../../train/random.ts';

const SHAPE = [32, 24, 3] as const;
const source = {
  pixels: Uint8Array.from({ length: 32 * 24 * 3 }, (_, index) => (Math.floor(index / 3) * 7) % 251),
  shape: SHAPE,
};
const draw = (kind: ForeignKind, seed = 1): Uint8Array =>
  drawForeignPicture(source, { kind, random: createRandom(seed) });

function coloursOf(pixels: Uint8Array): Set<string> {
  const colours = Array.from({ length: pixels.length / 3 }, (_, pixel) =>
    pixels.subarray(3 * pixel, 3 * pixel + 3).join(),
  );
  return new Set(colours);
}

describe.each(FOREIGN_KINDS)('%s', (kind) => {
  it('is a picture of the same shape, the same for the same seed, another for another', () => {
    const before = source.pixels.slice();
    expect(draw(kind).length).toBe(source.pixels.length);
    expect(draw(kind)).toEqual(draw(kind));
    expect(draw(kind, 2)).not.toEqual(draw(kind));
    expect(source.pixels).toEqual(before);
  });
});

describe('each kind is what its name says', () => {
  it('noise has all values, and neighbours know nothing of each other', () => {
    const pixels = draw('noise');
    expect(new Set(pixels).size).toBeGreaterThan(250);
    // The mean difference of two uniform values of 0 to 255 is a third of 256.
    expect(Math.abs(measureRoughness(pixels, SHAPE) - 256 / 3)).toBeLessThan(3);
  });

  it('one colour has one', () => {
    expect(coloursOf(draw('one colour')).size).toBe(1);
  });

  it('drawn shapes have a background and up to three colours more, and edges', () => {
    const counts = Array.from({ length: 20 }, (_, seed) => coloursOf(draw('drawn shapes', seed)).size);
    expect(Math.max(...counts)).toBe(4);
    expect(Math.min(...counts)).toBeGreaterThan(1);
  });

  it('shuffled parts have the pixels of the picture at other places', () => {
    const pixels = draw('shuffled parts');
    expect(pixels).not.toEqual(source.pixels);
    expect(pixels.toSorted()).toEqual(source.pixels.toSorted());
  });
});
