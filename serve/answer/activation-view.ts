/** A layer's values as people look at them: statistics of each channel, and one grey picture of the channels. */
import type { ChannelStatistics } from '../../shared/api.ts';
import { ProductError } from '../../shared/errors.ts';
import type { PngPicture } from '../../shared/image/png-encode.ts';
import { toDecimal } from './decimal.ts';
import { extentOf, isVector, sizesOf, toByte, type Extent, type LayerValues } from './layer-values.ts';

/** What black and white stand for: the extremes of the whole layer, so that channels compare, or of each channel. */
export const RANGES = ['layer', 'channel'] as const;
export type Range = (typeof RANGES)[number];

/** Pixels of the picture for one value, along each side. */
export const LARGEST_SCALE = 16;
/** A picture of more is refused: it would cost more than it shows. */
const LARGEST_PICTURE_PIXELS = 2048 * 2048;
/** Grey between the channels; neither black nor white, which mean something. */
const SEPARATOR = 128;
/** A layer of features is drawn as a strip about this wide. */
const STRIP_WIDTH = 512;
const STRIP_HEIGHT = 32;

export interface ActivationPicture extends PngPicture, Extent {
  channels: 1;
  /** Channels per row. */
  columns: number;
}

export interface DrawOptions {
  /** Numbers of the channels, in the order in which they are drawn. */
  channels: readonly number[];
  range: Range;
  /** From 1. */
  scale: number;
}

/** One entry per channel, in order. */
export function describeChannels({ shape, values }: LayerValues, channels: readonly number[]): ChannelStatistics[] {
  const { channels: step, places } = sizesOf(shape);
  return channels.map((channel) => {
    const { min, max } = extentOf(values, { first: channel, step });
    let sum = 0;
    let zeros = 0;
    for (let index = channel; index < values.length; index += step) {
      const value = values[index] as number;
      sum += value;
      if (value === 0) zeros++;
    }
    const [mean, share] = [sum / places, zeros / places];
    const numbers = { min: toDecimal(min), max: toDecimal(max), mean: toDecimal(mean), zeros: toDecimal(share) };
    return { channel, ...numbers, dead: zeros === places };
  });
}

/**
 * The channels in a grid as square as possible, row by row, one grey pixel apart; features in one strip. `min` and `max`
 * are those of the whole layer.
 *
 * Errors   'request/invalid' for a scale that makes the picture too large
 */
export function drawChannels({ shape, values }: LayerValues, options: DrawOptions): ActivationPicture {
  const { channels, range, scale } = options;
  const sizes = sizesOf(shape);
  const isStrip = isVector({ shape });
  const columns = isStrip ? channels.length : Math.ceil(Math.sqrt(channels.length));
  const separator = isStrip ? 0 : 1;
  const tileWidth = (isStrip ? Math.max(1, Math.floor(STRIP_WIDTH / channels.length)) : sizes.width) * scale;
  const tileHeight = (isStrip ? STRIP_HEIGHT : sizes.height) * scale;
  const width = columns * (tileWidth + separator) - separator;
  const height = Math.ceil(channels.length / columns) * (tileHeight + separator) - separator;
  checkSize({ width, height, scale });
  const pixels = new Uint8Array(width * height).fill(SEPARATOR);

  const layerExtent = extentOf(values);
  channels.forEach((channel, index) => {
    const extent = range === 'layer' ? layerExtent : extentOf(values, { first: channel, step: sizes.channels });
    const left = (index % columns) * (tileWidth + separator);
    const top = Math.floor(index / columns) * (tileHeight + separator);
    for (let y = 0; y < tileHeight; y++) {
      for (let x = 0; x < tileWidth; x++) {
        const place = isStrip ? 0 : Math.floor(y / scale) * sizes.width + Math.floor(x / scale);
        pixels[(top + y) * width + left + x] = toByte(values[place * sizes.channels + channel] as number, extent);
      }
    }
  });
  return { width, height, channels: 1, pixels, columns, ...layerExtent };
}

function checkSize({ width, height, scale }: { width: number; height: number; scale: number }): void {
  if (width * height <= LARGEST_PICTURE_PIXELS) return;
  throw new ProductError(
    'request/invalid',
    `the picture would have ${width} x ${height} pixels at scale=${scale}, at most ${LARGEST_PICTURE_PIXELS} are drawn; ask for fewer channels or a smaller scale`,
  );
}
