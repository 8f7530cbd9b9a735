/**
 * From the bytes of a model file to what the matrix tiles read; runs once per model.
 *
 *   file bytes --decodeRows--> slab [tap][k][channel] float32 --packDirect or packWinograd--> streams
 *
 * A slab holds a part of the input channels (k from `firstK` on), so that a large kernel never lies in memory twice.
 */
import { PACK_LINES, PACK_RUN, PACK_VALUES, TRANSFORM } from './scratch';
import { STREAMS } from './matrix-tiles';

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
      // Shifted into place, a half is a single whose exponent is 112 too small, subnormals included.
      const rebias = f32x4.splat(5.192296858534828e33);
      const sign = i32x4.splat(0x80000000);
      for (; column + 4 <= columns; column += 4) {
        const bits = v128.load16x4_u(source + (column << 1));
        const magnitude = i32x4.shl(v128.and(bits, i32x4.splat(0x7fff)), 13);
        const value = f32x4.mul(magnitude, rebias);
        v128.store(target + (column << 2), v128.or(value, v128.and(i32x4.shl(bits, 16), sign)));
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
 * U = G g G^T for a slab [3][3][count][channels]; G, `side` x 3, is at TRANSFORM. `firstK` and `count` are even.
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
  pass: usize,
  slab: usize,
  firstK: usize,
  count: usize,
  channels: usize,
  side: usize,
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
  // Of a pair of k, the second is the next in the stream, or in another stream.
  const isSplit = columns == 8 && STREAMS == 4;
  const toOdd = isSplit ? 2 * streamBytes : size;
  const step = isSplit ? size : 2 * size;
  for (let from: usize = 0; from < count; from += PACK_RUN) {
    const run = min(PACK_RUN, count - from);
    const k = firstK + from;
    for (let channel: usize = 0; channel < channels; channel += 4) {
      transformLines(slab + from * rowBytes + (channel << 2), run, rowBytes, tapBytes, side);
      const offset =
        columns == 12
          ? locateWide(channel, k, streamBytes, panelBytes, size)
          : (channel >> 3) * panelBytes + locate(k, (channel >> 2) & 1, streamBytes, size);
      let plane = target + offset;
      let scale = scales + (channel << 2);
      const last = PACK_VALUES + (run << 4);
      for (let i: usize = 0; i < side; i++) {
        for (let j: usize = 0; j < side; j++) {
          transformValues(PACK_LINES + i * (3 * PACK_RUN * 16), TRANSFORM + j * 12, run);
          if (pass == 1) {
            let largest = v128.load(scale);
            for (let value: usize = PACK_VALUES; value < last; value += 16) {
              largest = f32x4.pmax(largest, f32x4.abs(v128.load(value)));
            }
            v128.store(scale, largest);
          } else if (pass == 2) {
            const unit = v128.load(scale);
            let panel = plane;
            for (let value: usize = PACK_VALUES; value < last; value += 32) {
              const even = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.div(v128.load(value), unit)));
              const odd = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.div(v128.load(value, 16), unit)));
              const steps = i16x8.narrow_i32x4_s(even, odd);
              v128.store64_lane(panel, steps, 0);
              v128.store64_lane(panel + toOdd, steps, 1);
              panel += step;
            }
          } else {
            let panel = plane;
            for (let value: usize = PACK_VALUES; value < last; value += 32) {
              v128.store(panel, v128.load(value));
              v128.store(panel + toOdd, v128.load(value, 16));
              panel += step;
            }
          }
          plane += planeBytes;
          scale += scaleBytes;
        }
      }
    }
  }
}

/** G g of four channels: `run` values of k, [3][3] weights each, to PACK_LINES as [side][3][PACK_RUN] vectors. */
function transformLines(source: usize, run: usize, rowBytes: usize, tapBytes: usize, side: usize): void {
  for (let x: usize = 0; x < 3; x++) {
    let weight = source + x * tapBytes;
    for (let k: usize = 0; k < run; k++) {
      const w0 = v128.load(weight);
      const w1 = v128.load(weight + 3 * tapBytes);
      const w2 = v128.load(weight + 6 * tapBytes);
      let line = PACK_LINES + (x * PACK_RUN + k) * 16;
      for (let i: usize = 0; i < side; i++) {
        const g = TRANSFORM + i * 12;
        const u0 = f32x4.mul(v128.load32_splat(g), w0);
        const u1 = f32x4.mul(v128.load32_splat(g, 4), w1);
        const u2 = f32x4.mul(v128.load32_splat(g, 8), w2);
        v128.store(line, f32x4.add(f32x4.add(u0, u1), u2));
        line += 3 * PACK_RUN * 16;
      }
      weight += rowBytes;
    }
  }
}

/** One matrix of U = (G g) G^T: `run` vectors of a row of {@link transformLines}, times a row of G, to PACK_VALUES. */
function transformValues(row: usize, g: usize, run: usize): void {
  const g0 = v128.load32_splat(g);
  const g1 = v128.load32_splat(g, 4);
  const g2 = v128.load32_splat(g, 8);
  for (let k: usize = 0; k < run; k++) {
    const line = row + (k << 4);
    const u0 = f32x4.mul(g0, v128.load(line));
    const u1 = f32x4.mul(g1, v128.load(line + PACK_RUN * 16));
    const u2 = f32x4.mul(g2, v128.load(line + 2 * PACK_RUN * 16));
    v128.store(PACK_VALUES + (k << 4), f32x4.add(f32x4.add(u0, u1), u2));
  }
}

/** Largest magnitudes (from pass 1) to the value of one int16 step; channels that are zero get a step of 1. */
export function finishScales(scales: usize, count: usize): void {
  for (let index: usize = 0; index < count; index++) {
    const largest = load<f32>(scales + (index << 2));
    store<f32>(scales + (index << 2), largest > 0 ? largest / 32767 : 1);
  }
}
