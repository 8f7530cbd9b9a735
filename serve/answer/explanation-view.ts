/** A signed map over the picture that it explains: what speaks for the class in red, what speaks against it in blue. */
import { resizeMap } from '../../shared/class-activation.ts';
import { ProductError } from '../../shared/errors.ts';
import type { PngPicture } from '../../shared/image/png-encode.ts';
import type { DrawableMap } from './explanation.ts';

type Colour = readonly [red: number, green: number, blue: number];

/** The ends of ColorBrewer's RdBu: apart in every kind of colour vision. At zero the grey picture shows. */
const AGAINST: Colour = [33, 102, 172];
const FOR: Colour = [178, 24, 43];
/** How much of the colour there is at the ends of the scale. */
const OPACITY = 0.85;

/** What is not coloured, for people. */
export const SCALE_WORDS = `blue ${toHex(AGAINST)} below zero, the picture in grey at zero, red ${toHex(FOR)} above zero`;

/** Pixels of the overlay for one of the model's input, along each side. */
export const LARGEST_OVERLAY_SCALE = 16;
const DEFAULT_SCALE = 8;
const LARGEST_OVERLAY_PIXELS = 2048 * 2048;

export interface Overlay extends PngPicture {
  channels: 3;
  /** The value of full red; full blue is its negative. */
  limit: number;
}

export interface OverlayOptions {
  /** [height, width, 3] uint8, the model's input */
  pixels: Uint8Array;
  height: number;
  width: number;
  map: DrawableMap;
  /** Undefined: 8, or the largest that may be drawn. */
  scale: number | undefined;
}

/**
 * The picture in grey, enlarged, under the map, which is interpolated.
 *
 * Errors   'request/invalid' for a scale that makes it too large
 */
export function drawOverlay({ pixels, height, width, map, scale: wanted }: OverlayOptions): Overlay {
  const largest = Math.max(1, Math.floor(Math.sqrt(LARGEST_OVERLAY_PIXELS / (height * width))));
  const scale = wanted ?? Math.min(DEFAULT_SCALE, largest);
  if (scale > largest) {
    throw new ProductError(
      'request/invalid',
      `the picture would have ${width * scale} x ${height * scale} pixels at scale=${scale}; at most ${LARGEST_OVERLAY_PIXELS} are drawn; ask for scale=${largest} or less`,
    );
  }
  const size = { height: height * scale, width: width * scale };
  const values = resizeMap(map.values, map, size);
  const limit = Array.from(map.values).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const drawn = new Uint8Array(size.height * size.width * 3);
  values.forEach((value, place) => {
    const y = Math.floor(Math.floor(place / size.width) / scale);
    const x = Math.floor((place % size.width) / scale);
    const grey = greyOf(pixels, (y * width + x) * 3);
    const share = limit === 0 ? 0 : (OPACITY * Math.abs(value)) / limit;
    const colour = value < 0 ? AGAINST : FOR;
    colour.forEach((part, channel) => {
      drawn[place * 3 + channel] = Math.round(grey + (part - grey) * share);
    });
  });
  return { ...size, channels: 3, pixels: drawn, limit };
}

/** Luma of Rec. 601. */
function greyOf(pixels: Uint8Array, first: number): number {
  const [red = 0, green = 0, blue = 0] = pixels.subarray(first, first + 3);
  return 0.299 * red + 0.587 * green + 0.114 * blue;
}

function toHex(colour: Colour): string {
  return `#${colour.map((part) => part.toString(16).padStart(2, '0')).join('')}`;
}
