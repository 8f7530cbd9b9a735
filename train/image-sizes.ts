/**
 * Smaller pictures first: an epoch costs about as much as its pictures have pixels, and the early ones need no detail.
 * The pictures are made smaller once per size, before they are augmented; the last part of a run sees them as they are.
 *
 * Source: progressive resizing, Tan and Le 2021, arXiv:2104.00298, section 4.
 */
import { z } from 'zod';
import { ProductError } from '../shared/errors.ts';
import { fitToSquare } from '../shared/image/fit.ts';
import type { LabelledImages } from './dataset.ts';

export const imageSizesSchema = z
  .array(
    z.strictObject({
      /** Height and width of the pictures in this part of the run. */
      size: z.int().positive(),
      /** The share of the epochs that are done when this part ends. */
      untilShare: z.number().gt(0).lt(1),
    }),
  )
  .min(1)
  .refine((parts) => parts.every(({ untilShare }, index) => untilShare > (parts[index - 1]?.untilShare ?? 0)), {
    error: 'untilShare must grow from part to part',
  });

export type ImageSizes = z.infer<typeof imageSizesSchema>;

/** Height and width of the pictures of one epoch (from 0); `fullSize` is that of the data. */
export function imageSizeAt(
  sizes: ImageSizes,
  { epoch, epochs, fullSize }: { epoch: number; epochs: number; fullSize: number },
): number {
  return sizes.find(({ untilShare }) => epoch < Math.round(untilShare * epochs))?.size ?? fullSize;
}

/**
 * Shapes   images [count, height, width, 3] uint8 -> [count, size, size, 3] uint8
 * Memory   new pictures with the same labels
 * Errors   `config/invalid` when the data are no squares with 3 channels, or smaller than `size`
 */
export function resizeImages(
  images: LabelledImages,
  imageShape: readonly [number, number, number],
  size: number,
): LabelledImages {
  const [height, width, channels] = imageShape;
  if (height !== width || channels !== 3 || size > height) {
    throw new ProductError(
      'config/invalid',
      `imageSizes asks for ${size} x ${size} x 3, the data have ${height} x ${width} x ${channels}; name sizes up to that of square pictures with 3 channels, or leave imageSizes out`,
    );
  }
  const [from, to] = [height * width * channels, size * size * channels];
  const pixels = new Uint8Array(images.count * to);
  for (let index = 0; index < images.count; index++) {
    const picture = images.pixels.slice(index * from, (index + 1) * from);
    pixels.set(fitToSquare({ width, height, pixels: picture }, size), index * to);
  }
  return { ...images, pixels };
}
