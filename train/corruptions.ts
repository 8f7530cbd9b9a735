/**
 * Damages pictures in seven ways and three severities, to see how a model holds. The rules are our own: their figures
 * compare models that were measured with them, and are not those of CIFAR-10-C (Hendrycks, Dietterich 2019).
 *
 * Pure: the same picture, severity and random generator give the same bytes. Change {@link CORRUPTIONS_ID} with any rule.
 */
import type { Random } from './random.ts';

/** Names these rules in records. */
export const CORRUPTIONS_ID = 'resnet18-edge corruptions 1';
export const SEVERITIES = [1, 2, 3] as const;

export type Severity = (typeof SEVERITIES)[number];

/** [height, width, channels] uint8 */
export interface Picture {
  pixels: Uint8Array;
  shape: readonly [height: number, width: number, channels: number];
}

type Corrupt = (picture: Picture, severity: Severity, random: Random) => Float64Array;

/** Of 255. */
const NOISE_DEVIATION = { 1: 10, 2: 20, 3: 35 };
/** Share of values that become 0 or 255. */
const IMPULSE_SHARE = { 1: 0.01, 2: 0.03, 3: 0.07 };
/** Pixels. */
const BLUR_DEVIATION = { 1: 0.5, 2: 0.8, 3: 1.2 };
/** Of 255, up or down as the random generator says. */
const BRIGHTNESS_SHIFT = { 1: 25, 2: 50, 3: 75 };
/** What is left of the distance from the mean. */
const CONTRAST_FACTOR = { 1: 0.7, 2: 0.45, 3: 0.25 };
/** The picture keeps this share of its width and height. */
const PIXELATE_SHARE = { 1: 0.75, 2: 0.5, 3: 0.375 };
/** Quality as libjpeg counts it. */
const JPEG_QUALITY = { 1: 60, 2: 30, 3: 12 };

const RULES = {
  noise: ({ pixels }, severity, random) =>
    Float64Array.from(pixels, (value) => value + NOISE_DEVIATION[severity] * random.nextNormal()),
  impulse: ({ pixels }, severity, random) =>
    Float64Array.from(pixels, (value) => {
      const draw = random.next();
      if (draw >= IMPULSE_SHARE[severity]) return value;
      return draw < IMPULSE_SHARE[severity] / 2 ? 0 : 255;
    }),
  blur: (picture, severity) => blur(picture, BLUR_DEVIATION[severity]),
  brightness: ({ pixels }, severity, random) => {
    const shift = BRIGHTNESS_SHIFT[severity] * (random.next() < 0.5 ? -1 : 1);
    return Float64Array.from(pixels, (value) => value + shift);
  },
  contrast: (picture, severity) => lowerContrast(picture, CONTRAST_FACTOR[severity]),
  pixelate: (picture, severity) => pixelate(picture, PIXELATE_SHARE[severity]),
  jpeg: (picture, severity) => quantizeBlocks(picture, JPEG_QUALITY[severity]),
} as const satisfies Record<string, Corrupt>;

export type CorruptionName = keyof typeof RULES;
export const CORRUPTION_NAMES = Object.keys(RULES) as CorruptionName[];

/** The damaged picture, in bytes of its own, of the same shape. */
export function corruptPicture(
  picture: Picture,
  { name, severity, random }: { name: CorruptionName; severity: Severity; random: Random },
): Uint8Array<ArrayBuffer> {
  // A clamped array rounds to the nearest, halves to the even one, and keeps 0 to 255.
  return new Uint8Array(Uint8ClampedArray.from(RULES[name](picture, severity, random)).buffer);
}

/** Gaussian, along rows, then along columns; the border is repeated. */
function blur({ pixels, shape }: Picture, deviation: number): Float64Array {
  const reach = Math.ceil(3 * deviation);
  const weights = Array.from({ length: 2 * reach + 1 }, (_, place) =>
    Math.exp(-((place - reach) ** 2) / (2 * deviation ** 2)),
  );
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const smooth = (values: ArrayLike<number>, along: 'row' | 'column'): Float64Array =>
    mapPixels(shape, (y, x, channel) => {
      let sum = 0;
      for (const [place, weight] of weights.entries()) {
        const [dy, dx] = along === 'row' ? [0, place - reach] : [place - reach, 0];
        sum += weight * (values[locate(shape, y + dy, x + dx, channel)] ?? 0);
      }
      return sum / total;
    });
  return smooth(smooth(pixels, 'row'), 'column');
}

/** Towards the mean of each channel. */
function lowerContrast({ pixels, shape }: Picture, factor: number): Float64Array {
  const channels = shape[2];
  const means = Array.from({ length: channels }, () => 0);
  for (const [index, value] of pixels.entries()) {
    means[index % channels] = (means[index % channels] ?? 0) + (value * channels) / pixels.length;
  }
  return Float64Array.from(pixels, (value, index) => {
    const mean = means[index % channels] ?? 0;
    return mean + factor * (value - mean);
  });
}

/** Means over fewer, larger pixels. */
function pixelate({ pixels, shape }: Picture, share: number): Float64Array {
  const [height, width, channels] = shape;
  const [rows, columns] = [Math.max(1, Math.round(height * share)), Math.max(1, Math.round(width * share))];
  const sums = new Float64Array(rows * columns * channels);
  const counts = new Float64Array(rows * columns * channels);
  const cellOf = (y: number, x: number, channel: number): number =>
    (Math.floor((y * rows) / height) * columns + Math.floor((x * columns) / width)) * channels + channel;
  mapPixels(shape, (y, x, channel) => {
    const cell = cellOf(y, x, channel);
    sums[cell] = (sums[cell] ?? 0) + (pixels[locate(shape, y, x, channel)] ?? 0);
    counts[cell] = (counts[cell] ?? 0) + 1;
    return 0;
  });
  return mapPixels(shape, (y, x, channel) => {
    const cell = cellOf(y, x, channel);
    return (sums[cell] ?? 0) / (counts[cell] ?? 1);
  });
}

const BLOCK = 8;
/** Luminance, ITU-T T.81 (1992), table K.1; used for every channel, so that no colour space comes into it. */
const QUANTIZATION = [
  16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
  87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
  72, 92, 95, 98, 112, 100, 103, 99,
];
/** Orthonormal DCT-II: [frequency][place]. */
const COSINES = Array.from({ length: BLOCK }, (_, frequency) =>
  Array.from(
    { length: BLOCK },
    (_place, place) =>
      Math.sqrt((frequency === 0 ? 1 : 2) / BLOCK) * Math.cos(((2 * place + 1) * frequency * Math.PI) / (2 * BLOCK)),
  ),
);

/** What JPEG loses: the cosine transform of each 8x8 block of each channel, rounded to the table's steps. */
function quantizeBlocks({ pixels, shape }: Picture, quality: number): Float64Array {
  const [height, width, channels] = shape;
  const scale = quality < 50 ? 5000 / quality : 200 - 2 * quality;
  const steps = QUANTIZATION.map((step) => Math.max(1, Math.floor((step * scale + 50) / 100)));
  const damaged = new Float64Array(pixels.length);
  for (let top = 0; top < height; top += BLOCK) {
    for (let left = 0; left < width; left += BLOCK) {
      for (let channel = 0; channel < channels; channel++) {
        const block = Array.from({ length: BLOCK * BLOCK }, (_, place) => {
          const index = locate(shape, top + Math.floor(place / BLOCK), left + (place % BLOCK), channel);
          return (pixels[index] ?? 0) - 128;
        });
        const rounded = transform(block, true).map((value, place) => {
          const step = steps[place] ?? 1;
          return Math.round(value / step) * step;
        });
        for (const [place, value] of transform(rounded, false).entries()) {
          const [y, x] = [top + Math.floor(place / BLOCK), left + (place % BLOCK)];
          if (y < height && x < width) damaged[locate(shape, y, x, channel)] = value + 128;
        }
      }
    }
  }
  return damaged;
}

/** The cosine transform of a block along rows and columns, or its inverse. */
function transform(block: readonly number[], isForward: boolean): number[] {
  const along = (values: readonly number[]): number[] =>
    // Also turns the block over its diagonal; done twice, it lies as before.
    Array.from({ length: BLOCK * BLOCK }, (_, place) => {
      const [to, line] = [Math.floor(place / BLOCK), place % BLOCK];
      let sum = 0;
      for (let from = 0; from < BLOCK; from++) {
        const cosine = (isForward ? COSINES[to]?.[from] : COSINES[from]?.[to]) ?? 0;
        sum += cosine * (values[line * BLOCK + from] ?? 0);
      }
      return sum;
    });
  return along(along(block));
}

/** A new picture out of a value for each place. */
function mapPixels(
  [height, width, channels]: Picture['shape'],
  compute: (y: number, x: number, channel: number) => number,
): Float64Array {
  const values = new Float64Array(height * width * channels);
  let index = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < channels; channel++) values[index++] = compute(y, x, channel);
    }
  }
  return values;
}

/** Where a value is; places outside of the picture mean its border. */
function locate([height, width, channels]: Picture['shape'], y: number, x: number, channel: number): number {
  const row = Math.min(height - 1, Math.max(0, y));
  const column = Math.min(width - 1, Math.max(0, x));
  return (row * width + column) * channels + channel;
}
