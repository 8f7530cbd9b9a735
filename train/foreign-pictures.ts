/**
 * Pictures that no data set of photographs has, to see whether a model says that it does not know. Four kinds, from random
 * numbers or from a test picture; the rules are our own.
 *
 * Pure: the same source and random generator give the same bytes. Change {@link FOREIGN_ID} with any rule.
 */
import type { Picture } from './corruptions.ts';
import type { Random } from './random.ts';

/** Names these rules in records. */
export const FOREIGN_ID = 'resnet18-edge foreign pictures 1';

type Draw = (source: Picture, random: Random) => Uint8Array<ArrayBuffer>;

const SHAPES_DRAWN = 3;
/** Parts along each side of a shuffled picture. */
const TILES = 4;

const RULES = {
  /** Each value for itself, from 0 to 255. */
  noise: ({ pixels }, random) => Uint8Array.from(pixels, () => random.nextInt(256)),
  'one colour': ({ shape }, random) => fill(shape, drawColour(shape[2], random)),
  /** Discs and squares over one colour. */
  'drawn shapes': ({ shape }, random) => drawShapes(shape, random),
  /** A test picture whose 16 parts are in another order: right in every detail, and no picture of anything. */
  'shuffled parts': (source, random) => shuffleParts(source, random),
} as const satisfies Record<string, Draw>;

export type ForeignKind = keyof typeof RULES;
export const FOREIGN_KINDS = Object.keys(RULES) as ForeignKind[];

/** A foreign picture of the shape of `source`, in bytes of its own. */
export function drawForeignPicture(
  source: Picture,
  { kind, random }: { kind: ForeignKind; random: Random },
): Uint8Array<ArrayBuffer> {
  return RULES[kind](source, random);
}

function drawColour(channels: number, random: Random): number[] {
  return Array.from({ length: channels }, () => random.nextInt(256));
}

function fill([height, width, channels]: Picture['shape'], colour: readonly number[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: height * width * channels }, (_, index) => colour[index % channels] ?? 0);
}

function drawShapes(shape: Picture['shape'], random: Random): Uint8Array<ArrayBuffer> {
  const [height, width, channels] = shape;
  const pixels = fill(shape, drawColour(channels, random));
  const side = Math.min(height, width);
  for (let drawn = 0; drawn < SHAPES_DRAWN; drawn++) {
    const colour = drawColour(channels, random);
    const [centreY, centreX] = [random.nextInt(height), random.nextInt(width)];
    const reach = side * (0.1 + 0.3 * random.next());
    const isDisc = random.next() < 0.5;
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const [dy, dx] = [Math.abs(y - centreY), Math.abs(x - centreX)];
        const isInside = isDisc ? dy ** 2 + dx ** 2 < reach ** 2 : Math.max(dy, dx) < reach;
        if (isInside) pixels.set(colour, (y * width + x) * channels);
      }
    }
  }
  return pixels;
}

function shuffleParts({ pixels, shape }: Picture, random: Random): Uint8Array<ArrayBuffer> {
  const [height, width, channels] = shape;
  const [tileHeight, tileWidth] = [Math.floor(height / TILES), Math.floor(width / TILES)];
  const shuffled = Uint8Array.from(pixels);
  for (const [place, origin] of random.shuffle(TILES * TILES).entries()) {
    const [toY, toX] = [Math.floor(place / TILES) * tileHeight, (place % TILES) * tileWidth];
    const [fromY, fromX] = [Math.floor(origin / TILES) * tileHeight, (origin % TILES) * tileWidth];
    for (let row = 0; row < tileHeight; row++) {
      const from = ((fromY + row) * width + fromX) * channels;
      shuffled.set(pixels.subarray(from, from + tileWidth * channels), ((toY + row) * width + toX) * channels);
    }
  }
  return shuffled;
}
