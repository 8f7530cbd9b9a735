/**
 * From the bytes of a model file to what the matrix tiles read; runs once per model.
 *
 *   file bytes --decodeRows--> slab [tap][k][channel] float32 --packDirect or packWinograd--> streams
 *
 * A slab holds a part of the input channels (k from `firstK` on), so that a large kernel never lies in memory twice.
 */
import { PACK_RUN, PACK_VALUES } from './scratch';
import { STREAMS } from './matrix-tiles';
import { packTile12, packTile14, packTile2, packTile4 } from './transforms';

/** Byte offset of vector k of 4 channels, from `channel` on, in panels of 12 channels; `size` is the bytes of one vector. */
function locateWide(channel: usize, k: usize, streamBytes: usize, panelBytes: usize, size: usize): usize {
  const vector = channel >> 2;
  const panel = vector / 3;
  return panel * panelBytes + (vector - panel * 3) * streamBytes + k * size;
}

/** Byte offset of the vector (k, half) of a panel in streams of 4-lane vectors; `size` is the bytes of one vector. */
function locate(k: usize, half: usize, streamBytes: usize, size: usize): usize {
  if (STREAMS == 4) return ((k & 1) * 2 + half) * streamBytes + (k >> 1) * size;
  return half * streamBytes + k * size;
}

/**
 * Decode `rows` rows of `columns` values to float32, each row padded with zeros to `targetColumns` (a multiple of 8).
 *
 *   type 0 float32, 1 float16 (finite), 2 uint8: value * scale + minimum
 */
export function decodeRows(
  type: usize,
  source: usize,
  target: usize,
  rows: usize,
  columns: usize,
  targetColumns: usize,
  scale: f32,
  minimum: f32,
): void {
  if (columns == targetColumns) {
    columns *= rows;
    targetColumns = columns;
    rows = 1;
  }
  for (let row: usize = 0; row < rows; row++) {
    let column: usize = 0;
    if (type == 1) {
      // Shifted into place, a half is a single whose exponent is 112 too small, subnormals included. Its sign is extended
      // to the top, and cleared between there and the exponent.
      const rebias = f32x4.splat(5.192296858534828e33);
      const mask = i32x4.splat(0x8fffe000);
      for (; column + 4 <= columns; column += 4) {
        const bits = i32x4.shl(v128.load16x4_s(source + (column << 1)), 13);
        v128.store(target + (column << 2), f32x4.mul(v128.and(bits, mask), rebias));
      }
    } else if (type == 0) {
      for (; column + 4 <= columns; column += 4) v128.store(target + (column << 2), v128.load(source + (column << 2)));
    }
    for (; column < columns; column++) {
      let value: f32;
      if (type == 0) {
        value = load<f32>(source + (column << 2));
      } else if (type == 1) {
        const bits = <u32>load<u16>(source + (column << 1));
        value = reinterpret<f32>((bits & 0x7fff) << 13) * 5.192296858534828e33;
        if (bits & 0x8000) value = -value;
      } else {
        value = <f32>load<u8>(source + column) * scale + minimum;
      }
      store<f32>(target + (column << 2), value);
    }
    for (; column < targetColumns; column++) store<f32>(target + (column << 2), 0);
    source += columns << (type == 0 ? 2 : type == 1 ? 1 : 0);
    target += targetColumns << 2;
  }
}

/** Slab [1][count][channels] of one tap to float32 panels; `k` counts through all taps: tap * depth + channel in. */
export function packDirect(
  slab: usize,
  firstK: usize,
  count: usize,
  channels: usize,
  target: usize,
  streamBytes: usize,
  panelBytes: usize,
): void {
  for (let k: usize = 0; k < count; k++) {
    let panel = target;
    for (let channel: usize = 0; channel < channels; channel += 8) {
      const source = slab + ((k * channels + channel) << 2);
      v128.store(panel + locate(firstK + k, 0, streamBytes, 16), v128.load(source));
      v128.store(panel + locate(firstK + k, 1, streamBytes, 16), v128.load(source, 16));
      panel += panelBytes;
    }
  }
}

/**
 * U = G g G^T for a slab [3][3][count][channels]; `kind` as in `winograd.ts`. `firstK` and `count` are even.
 *
 *   pass 0   float32 panels
 *   pass 1   no panels: the largest magnitude per (matrix, channel) is kept in `scales`, which start at zero
 *   pass 2   int16 panels: `scales` hold the value of one step
 *
 * Panels have 8 or 12 `columns`; `scaleBytes` lie between the scales of two matrices.
 *
 * A run of k is written matrix by matrix: matrices lie powers of two apart, where a cache can hold few lines at a time, so
 * a line must be full before the next matrix is written to.
 */
export function packWinograd(
  kind: usize,
  pass: usize,
  slab: usize,
  firstK: usize,
  count: usize,
  channels: usize,
  target: usize,
  planeBytes: usize,
  streamBytes: usize,
  panelBytes: usize,
  scales: usize,
  scaleBytes: usize,
  columns: usize,
): void {
  const tapBytes = (count * channels) << 2;
  const rowBytes = channels << 2;
  const size: usize = pass == 2 ? 8 : 16;
  const matrices: usize = kind == 4 || kind == 14 ? 36 : 16;
  // Of a pair of k, the second is the next in the stream, or in another stream.
  const isSplit = columns == 8 && STREAMS == 4;
  const toOdd = isSplit ? 2 * streamBytes : size;
  const step = isSplit ? size : 2 * size;
  for (let from: usize = 0; from < count; from += PACK_RUN) {
    const run = min(PACK_RUN, count - from);
    const k = firstK + from;
    for (let channel: usize = 0; channel < channels; channel += 4) {
      transformRun(kind, slab + from * rowBytes + (channel << 2), run, rowBytes, tapBytes);
      const offset =
        columns == 12
          ? locateWide(channel, k, streamBytes, panelBytes, size)
          : (channel >> 3) * panelBytes + locate(k, (channel >> 2) & 1, streamBytes, size);
      const scale = scales + (channel << 2);
      if (pass == 1) keepLargest(matrices, run, scale, scaleBytes);
      else if (pass == 2) writeSteps(matrices, run, target + offset, planeBytes, toOdd, step, scale, scaleBytes);
      else writeFloats(matrices, run, target + offset, planeBytes, toOdd, step);
    }
  }
}

/** Four channels of a run of k, [3][3] weights each, to PACK_VALUES as [matrix][PACK_RUN] vectors. */
function transformRun(kind: usize, weight: usize, run: usize, rowBytes: usize, tapBytes: usize): void {
  for (let k: usize = 0; k < run; k++) {
    if (kind == 4) packTile4(weight, tapBytes, k);
    else if (kind == 2) packTile2(weight, tapBytes, k);
    else if (kind == 14) packTile14(weight, tapBytes, k);
    else packTile12(weight, tapBytes, k);
    weight += rowBytes;
  }
}

/** Pass 1 for a run. */
function keepLargest(matrices: usize, run: usize, scale: usize, scaleBytes: usize): void {
  let value = PACK_VALUES;
  for (let matrix: usize = 0; matrix < matrices; matrix++) {
    let largest = v128.load(scale);
    const last = value + (run << 4);
    for (let at = value; at < last; at += 16) largest = f32x4.pmax(largest, f32x4.abs(v128.load(at)));
    v128.store(scale, largest);
    value += PACK_RUN * 16;
    scale += scaleBytes;
  }
}

/** Pass 2 for a run: values over scales, to the nearest integer. */
function writeSteps(
  matrices: usize,
  run: usize,
  plane: usize,
  planeBytes: usize,
  toOdd: usize,
  step: usize,
  scale: usize,
  scaleBytes: usize,
): void {
  // Added to this, a small number is rounded to an integer, which the lowest bits then are.
  const shifter = f32x4.splat(12582912);
  const zero = i32x4.splat(0x4b400000);
  const one = f32x4.splat(1);
  let value = PACK_VALUES;
  for (let matrix: usize = 0; matrix < matrices; matrix++) {
    const factor = f32x4.div(one, v128.load(scale));
    const last = value + (run << 4);
    let panel = plane;
    for (let at = value; at < last; at += 32) {
      const even = i32x4.sub(f32x4.add(f32x4.mul(v128.load(at), factor), shifter), zero);
      const odd = i32x4.sub(f32x4.add(f32x4.mul(v128.load(at, 16), factor), shifter), zero);
      const steps = i16x8.narrow_i32x4_s(even, odd);
      v128.store64_lane(panel, steps, 0);
      v128.store64_lane(panel + toOdd, steps, 1);
      panel += step;
    }
    value += PACK_RUN * 16;
    plane += planeBytes;
    scale += scaleBytes;
  }
}

/** Pass 0 for a run. */
function writeFloats(matrices: usize, run: usize, plane: usize, planeBytes: usize, toOdd: usize, step: usize): void {
  let value = PACK_VALUES;
  for (let matrix: usize = 0; matrix < matrices; matrix++) {
    const last = value + (run << 4);
    let panel = plane;
    for (let at = value; at < last; at += 32) {
      v128.store(panel, v128.load(at));
      v128.store(panel + toOdd, v128.load(at, 16));
      panel += step;
    }
    value += PACK_RUN * 16;
    plane += planeBytes;
  }
}

/** Largest magnitudes (from pass 1) to the value of one int16 step; channels that are zero get a step of 1. */
export function finishScales(scales: usize, count: usize): void {
  for (let index: usize = 0; index < count; index++) {
    const largest = load<f32>(scales + (index << 2));
    store<f32>(scales + (index << 2), largest > 0 ? largest / 32767 : 1);
  }
}
