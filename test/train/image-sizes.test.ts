import { describe, expect, it } from 'vitest';
import { fitToSquare } from '../../shared/image/fit.ts';
import { imageSizeAt, imageSizesSchema, resizeImages } from '../../train/image-sizes.ts';
import { createTinyDataset } from '../support/tiny-run.ts';

const SIZES = [
  { size: 24, untilShare: 0.5 },
  { size: 28, untilShare: 0.75 },
];

describe('imageSizeAt', () => {
  it('grows when its share of the epochs is done, and ends with the size of the data', () => {
    const sizes = Array.from({ length: 8 }, (_, epoch) => imageSizeAt(SIZES, { epoch, epochs: 8, fullSize: 32 }));
    expect(sizes).toEqual([24, 24, 24, 24, 28, 28, 32, 32]);
    expect(imageSizeAt([], { epoch: 0, epochs: 1, fullSize: 32 })).toBe(32);
  });

  it('refuses parts that do not follow each other', () => {
    expect(imageSizesSchema.safeParse(SIZES).success).toBe(true);
    expect(imageSizesSchema.safeParse(SIZES.toReversed()).error?.message).toContain('untilShare must grow');
    expect(imageSizesSchema.safeParse([]).success).toBe(false);
  });
});

describe('resizeImages', () => {
  const { training, imageShape } = createTinyDataset();

  it('makes each picture smaller as a served picture is, and leaves the given ones as they are', () => {
    const before = training.pixels.slice();
    const { pixels, labels, count } = resizeImages(training, imageShape, 5);
    expect({ labels, count }).toEqual({ labels: training.labels, count: training.count });
    expect(pixels.length).toBe(training.count * 5 * 5 * 3);
    const third = training.pixels.slice(2 * 8 * 8 * 3, 3 * 8 * 8 * 3);
    expect(pixels.slice(2 * 75, 3 * 75)).toEqual(fitToSquare({ width: 8, height: 8, pixels: third }, 5));
    expect(training.pixels).toEqual(before);
  });

  it('refuses sizes above that of the data, and data that are no squares', () => {
    const refusal = expect.objectContaining({ code: 'config/invalid' });
    expect(() => resizeImages(training, imageShape, 9)).toThrow(refusal);
    expect(() => resizeImages(training, [4, 16, 3], 4)).toThrow(refusal);
  });
});
