/**
 * Occlusion sensitivity: what a class loses when a patch of the picture is hidden. It knows nothing of the network, so it
 * is a second opinion on every map that is computed from the network's inside.
 *
 * Source: Zeiler, Fergus 2014, arXiv:1311.2901.
 */
import type { MapSize } from './class-activation.ts';

/** A square that is hidden: its upper left pixel and its side. */
export interface Patch {
  top: number;
  left: number;
  size: number;
}

/** Row by row; the last ones end at the picture's edge, whatever the stride. */
export function placePatches({ height, width }: MapSize, { size, stride }: { size: number; stride: number }): Patch[] {
  return placeAlong(height, size, stride).flatMap((top) =>
    placeAlong(width, size, stride).map((left) => ({ top, left, size })),
  );
}

function placeAlong(length: number, size: number, stride: number): number[] {
  if (size > length || stride < 1) throw new Error(`internal: patches of ${size} every ${stride} on ${length} pixels`);
  const places: number[] = [];
  for (let place = 0; place < length - size; place += stride) places.push(place);
  return [...places, length - size];
}

/** A copy of pixels [height, width, channels] with the patch filled, [channels]. */
export function hidePatch(
  pixels: Uint8Array,
  { width, patch, fill }: { width: number; patch: Patch; fill: readonly number[] },
): Uint8Array<ArrayBuffer> {
  const hidden = Uint8Array.from(pixels);
  for (let y = patch.top; y < patch.top + patch.size; y++) {
    for (let x = patch.left; x < patch.left + patch.size; x++) hidden.set(fill, (y * width + x) * fill.length);
  }
  return hidden;
}

/** The mean of a map [height, width] over each patch. */
export function averagePatches(map: ArrayLike<number>, { width }: MapSize, patches: readonly Patch[]): Float64Array {
  return Float64Array.from(patches, ({ top, left, size }) => {
    let sum = 0;
    for (let y = top; y < top + size; y++) {
      for (let x = left; x < left + size; x++) sum += map[y * width + x] as number;
    }
    return sum / size ** 2;
  });
}

/** A map [height, width] whose every pixel has the mean value of the patches that cover it; 0 where none does. */
export function spreadPatches(
  values: ArrayLike<number>,
  { height, width }: MapSize,
  patches: readonly Patch[],
): Float64Array {
  const sums = new Float64Array(height * width);
  const counts = new Uint32Array(height * width);
  patches.forEach(({ top, left, size }, index) => {
    for (let y = top; y < top + size; y++) {
      for (let x = left; x < left + size; x++) {
        const place = y * width + x;
        sums[place] = (sums[place] as number) + (values[index] as number);
        counts[place] = (counts[place] as number) + 1;
      }
    }
  });
  return sums.map((sum, place) => sum / Math.max(1, counts[place] as number));
}

/**
 * Spearman's rank correlation, from -1 to 1; equals share the mean of their ranks. Null where all values of one side are
 * equal.
 */
export function correlateRanks(first: ArrayLike<number>, second: ArrayLike<number>): number | null {
  if (first.length !== second.length) {
    throw new RangeError(`internal: ${first.length} and ${second.length} values cannot be correlated`);
  }
  const [a, b] = [rankValues(first), rankValues(second)];
  const centre = (a.length + 1) / 2;
  let [product, squaresA, squaresB] = [0, 0, 0];
  a.forEach((rank, index) => {
    const [x, y] = [rank - centre, (b[index] as number) - centre];
    product += x * y;
    squaresA += x * x;
    squaresB += y * y;
  });
  return squaresA === 0 || squaresB === 0 ? null : product / Math.sqrt(squaresA * squaresB);
}

/** From 1. */
function rankValues(values: ArrayLike<number>): number[] {
  const order = Array.from({ length: values.length }, (_, index) => index).toSorted(
    (a, b) => (values[a] as number) - (values[b] as number),
  );
  const ranks: number[] = Array.from({ length: values.length });
  for (let first = 0; first < order.length;) {
    let last = first;
    while (last + 1 < order.length && values[order[last + 1] as number] === values[order[first] as number]) last++;
    for (let place = first; place <= last; place++) ranks[order[place] as number] = (first + last) / 2 + 1;
    first = last + 1;
  }
  return ranks;
}
