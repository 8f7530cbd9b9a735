/**
 * From the bytes of a model file to what the matrix tiles read; runs once per model.
 *
 *   file bytes --decodeRows--> slab [tap][k][channel] float32 --packDirect or packWinograd--> streams
 *
 * A slab holds a part of the input channels (k from `firstK` on), so that a large kernel never lies in memory twice.
 */
import { LINES, TRANSFORM } from './scratch';
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
 * U = G g G^T for a slab [3][3][count][channels]; G, `side` x 3, is at TRANSFORM.
 *
 *   pass 0   float32 panels
 *   pass 1   no panels: the largest magnitude per (matrix, channel) is kept in `scales`, which start at zero
 *   pass 2   int16 panels: `scales` hold the value of one step
 *
 * Panels have 8 or 12 `columns`; `scaleBytes` lie between the scales of two matrices.
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
  const size: usize = pass == 2 ? 8 : 16;
  for (let k: usize = 0; k < count; k++) {
    for (let channel: usize = 0; channel < channels; channel += 4) {
      const weight = slab + ((k * channels + channel) << 2);
      for (let i: usize = 0; i < side; i++) {
        const g = TRANSFORM + i * 12;
        const g0 = v128.load32_splat(g);
        const g1 = v128.load32_splat(g, 4);
        const g2 = v128.load32_splat(g, 8);
        let tap = weight;
        for (let x: usize = 0; x < 3; x++) {
          const w0 = f32x4.mul(g0, v128.load(tap));
          const w1 = f32x4.mul(g1, v128.load(tap + 3 * tapBytes));
          const w2 = f32x4.mul(g2, v128.load(tap + 6 * tapBytes));
          v128.store(LINES + (i * 3 + x) * 16, f32x4.add(f32x4.add(w0, w1), w2));
          tap += tapBytes;
        }
      }
      const offset =
        columns == 12
          ? locateWide(channel, firstK + k, streamBytes, panelBytes, size)
          : (channel >> 3) * panelBytes + locate(firstK + k, (channel >> 2) & 1, streamBytes, size);
      let plane = target + offset;
      let scale = scales + (channel << 2);
      for (let i: usize = 0; i < side; i++) {
        const line = LINES + i * 48;
        const l0 = v128.load(line);
        const l1 = v128.load(line, 16);
        const l2 = v128.load(line, 32);
        for (let j: usize = 0; j < side; j++) {
          const g = TRANSFORM + j * 12;
          const u0 = f32x4.mul(v128.load32_splat(g), l0);
          const u1 = f32x4.mul(v128.load32_splat(g, 4), l1);
          const u2 = f32x4.mul(v128.load32_splat(g, 8), l2);
          const u = f32x4.add(f32x4.add(u0, u1), u2);
          if (pass == 0) {
            v128.store(plane, u);
          } else if (pass == 1) {
            v128.store(scale, f32x4.max(v128.load(scale), f32x4.abs(u)));
          } else {
            const steps = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.div(u, v128.load(scale))));
            v128.store64_lane(plane, i16x8.narrow_i32x4_s(steps, steps), 0);
          }
          plane += planeBytes;
          scale += scaleBytes;
        }
      }
    }
  }
}

/** Largest magnitudes (from pass 1) to the value of one int16 step; channels that are zero get a step of 1. */
export function finishScales(scales: usize, count: usize): void {
  for (let index: usize = 0; index < count; index++) {
    const largest = load<f32>(scales + (index << 2));
    store<f32>(scales + (index << 2), largest > 0 ? largest / 32767 : 1);
  }
}
