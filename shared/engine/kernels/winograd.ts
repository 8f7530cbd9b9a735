/**
 * 3x3 convolutions by Winograd's minimal filtering: fewer multiplications for a few more additions.
 *
 *   kind 4   stride 1, tiles of 4x4 outputs from 6x6 inputs:  36 products per tile instead of 144
 *   kind 2   stride 1, tiles of 2x2 outputs from 4x4 inputs:  16 instead of 36
 *   kind 14  stride 2, tiles of 4x4 outputs from 9x9 inputs:  81 instead of 144
 *   kind 12  stride 2, tiles of 2x2 outputs from 5x5 inputs:  25 instead of 36
 *
 * A tile is worked on four channels at a time in three steps, the middle one for all tiles of a block together:
 *
 *   pixels --transformInput--> V[point][tile][channel in] --multiply--> M[point][tile][channel out] --transformOutput--> pixels
 *
 * Each two-dimensional transform is the same one-dimensional one twice: over the lines of the tile, then across them.
 * Stride 2 (polyphase): of the 2F + 1 inputs of a line the F + 1 even ones meet the outer two weights as a stride-1
 * convolution of two taps, transformed; the F odd ones meet the middle weight as they are. So a line has the points
 *
 *   [F + 1 transformed even | F odd]      and all odd points share one matrix of weights.
 *
 * Pixels are [y][x][channel] float32 with a ring around the map that is zero (transformInput reads it) and at least as
 * wide as the last tiles reach over the edge (transformOutput writes there; the caller clears it).
 */
import { LINES, LOWEST, ROW_TABLE, TAP_TABLE } from './scratch';
import { tile4Float32, tile4Int16, tile6Float32, tile6Int16 } from './matrix-tiles';

/** Points of a line: what transformInput makes and transformOutput takes. */
function countPoints(kind: usize): usize {
  return kind == 4 ? 6 : kind == 2 ? 4 : kind == 14 ? 9 : 5;
}

/** Outputs of a line. */
function countOutputs(kind: usize): usize {
  return kind == 4 || kind == 14 ? 4 : 2;
}

/**
 * V = B^T d B for `count` tiles from the tile `first` on. `source` is the first pixel of the window of tile 0, in the
 * ring; `step` pixels lie between tiles.
 */
export function transformInput(
  kind: usize,
  source: usize,
  rowBytes: usize,
  pixelBytes: usize,
  tilesAcross: usize,
  step: usize,
  first: usize,
  count: usize,
  points: usize,
  planeBytes: usize,
): void {
  const side = countPoints(kind);
  const lineBytes = side << 4;
  for (let tile: usize = 0; tile < count; tile++) {
    const index = first + tile;
    const top = index / tilesAcross;
    const left = index - top * tilesAcross;
    let pixel = source + top * step * rowBytes + left * step * pixelBytes;
    let point = points + tile * pixelBytes;
    const end = pixel + pixelBytes;
    do {
      inputLines(kind, side, pixel, rowBytes, pixelBytes, LINES, lineBytes, 16);
      inputLines(kind, side, LINES, 16, lineBytes, point, planeBytes, side * planeBytes);
      pixel += 16;
      point += 16;
    } while (pixel < end);
  }
}

/** One-dimensional input transform of `lines` lines; `from`/`to` are the distances of points, `..Line` of lines. */
function inputLines(
  kind: usize,
  lines: usize,
  source: usize,
  from: usize,
  fromLine: usize,
  target: usize,
  to: usize,
  toLine: usize,
): void {
  const two = f32x4.splat(2);
  const four = f32x4.splat(4);
  const five = f32x4.splat(5);
  for (let line: usize = 0; line < lines; line++) {
    const d0 = v128.load(source);
    const d1 = v128.load(source + from);
    const d2 = v128.load(source + 2 * from);
    const d3 = v128.load(source + 3 * from);
    if (kind == 4) {
      const d4 = v128.load(source + 4 * from);
      const d5 = v128.load(source + 5 * from);
      const even = f32x4.sub(d4, f32x4.mul(four, d2));
      const odd = f32x4.sub(d3, f32x4.mul(four, d1));
      const evenHalf = f32x4.sub(d4, d2);
      const oddHalf = f32x4.mul(two, f32x4.sub(d3, d1));
      v128.store(target, f32x4.add(f32x4.sub(f32x4.mul(four, d0), f32x4.mul(five, d2)), d4));
      v128.store(target + to, f32x4.add(even, odd));
      v128.store(target + 2 * to, f32x4.sub(even, odd));
      v128.store(target + 3 * to, f32x4.add(evenHalf, oddHalf));
      v128.store(target + 4 * to, f32x4.sub(evenHalf, oddHalf));
      v128.store(target + 5 * to, f32x4.add(f32x4.sub(f32x4.mul(four, d1), f32x4.mul(five, d3)), d5));
    } else if (kind == 2) {
      v128.store(target, f32x4.sub(d0, d2));
      v128.store(target + to, f32x4.add(d1, d2));
      v128.store(target + 2 * to, f32x4.sub(d2, d1));
      v128.store(target + 3 * to, f32x4.sub(d1, d3));
    } else if (kind == 14) {
      const e2 = v128.load(source + 4 * from);
      const e3 = v128.load(source + 6 * from);
      const e4 = v128.load(source + 8 * from);
      // The even phase is d0, d2, e2, e3, e4.
      const ends = f32x4.sub(e3, d2);
      const inner = f32x4.sub(e3, e2);
      v128.store(target, f32x4.add(ends, f32x4.mul(two, f32x4.sub(d0, e2))));
      v128.store(target + to, f32x4.sub(inner, f32x4.mul(two, d2)));
      v128.store(target + 2 * to, f32x4.add(inner, f32x4.mul(two, f32x4.sub(d2, e2))));
      v128.store(target + 3 * to, ends);
      v128.store(target + 4 * to, f32x4.add(f32x4.sub(e4, e2), f32x4.mul(two, f32x4.sub(d2, e3))));
      v128.store(target + 5 * to, d1);
      v128.store(target + 6 * to, d3);
      v128.store(target + 7 * to, v128.load(source + 5 * from));
      v128.store(target + 8 * to, v128.load(source + 7 * from));
    } else {
      const e2 = v128.load(source + 4 * from);
      v128.store(target, f32x4.sub(d2, d0));
      v128.store(target + to, d2);
      v128.store(target + 2 * to, f32x4.sub(e2, d2));
      v128.store(target + 3 * to, d1);
      v128.store(target + 4 * to, d3);
    }
    source += fromLine;
    target += toLine;
  }
}

/**
 * M[point] = V[point] * U[matrix of point] for all side x side points, `matrices` of them distinct per line.
 *
 *   V  [side x side][rows][k]         rows padded to 4 or an even number from 6 on; what is in the padding is not used
 *   U  [matrices x matrices][panel of 8 channels out][k][8], in streams (see matrix-tiles)
 *   M  [side x side][rows][channels]  channels out, a multiple of 8
 */
export function multiplyPoints(
  isInt16: usize,
  side: usize,
  matrices: usize,
  v: usize,
  vPlaneBytes: usize,
  rows: usize,
  kBytes: usize,
  u: usize,
  uPlaneBytes: usize,
  streamBytes: usize,
  panelBytes: usize,
  scales: usize,
  m: usize,
  mPlaneBytes: usize,
  channels: usize,
): void {
  const mRowBytes = channels << 2;
  for (let row: usize = 0; row < rows; row++) store<usize>(ROW_TABLE + (row << 2), row * kBytes);
  for (let y: usize = 0; y < side; y++) {
    for (let x: usize = 0; x < side; x++) {
      const matrix = min(y, matrices - 1) * matrices + min(x, matrices - 1);
      store<usize>(TAP_TABLE, v);
      let panel = u + matrix * uPlaneBytes;
      let scale = scales + matrix * mRowBytes;
      for (let channel: usize = 0; channel < mRowBytes; channel += 32) {
        let c = m + channel;
        let row: usize = 0;
        while (row < rows) {
          const left = rows - row;
          const table = ROW_TABLE + (row << 2);
          if (left == 4 || left == 8) {
            if (isInt16) tile4Int16(table, TAP_TABLE, 1, kBytes, panel, streamBytes, c, mRowBytes, scale);
            else tile4Float32(table, TAP_TABLE, 1, kBytes, panel, streamBytes, c, mRowBytes);
            row += 4;
            c += 4 * mRowBytes;
          } else {
            if (isInt16) tile6Int16(table, TAP_TABLE, 1, kBytes, panel, streamBytes, c, mRowBytes, scale);
            else tile6Float32(table, TAP_TABLE, 1, kBytes, panel, streamBytes, c, mRowBytes);
            row += 6;
            c += 6 * mRowBytes;
          }
        }
        panel += panelBytes;
        scale += 32;
      }
      v += vPlaneBytes;
      m += mPlaneBytes;
    }
  }
}

/**
 * y = (A^T M A) * gain + shift (+ residual) (then ReLU) for `count` tiles from the tile `first` on. `residual` is the
 * distance in bytes to a map of the same form that is added, or 0.
 */
export function transformOutput(
  kind: usize,
  m: usize,
  planeBytes: usize,
  tilesAcross: usize,
  first: usize,
  count: usize,
  target: usize,
  rowBytes: usize,
  pixelBytes: usize,
  gains: usize,
  shifts: usize,
  residual: usize,
  hasRelu: usize,
): void {
  const side = countPoints(kind);
  const outputs = countOutputs(kind);
  const lineBytes = side << 4;
  // After the second pass the outputs lie behind the lines of the first: side * outputs vectors are at most 36.
  const sums = LINES + 1024;
  const lowest = hasRelu ? f32x4.splat(0) : f32x4.splat(LOWEST);
  for (let tile: usize = 0; tile < count; tile++) {
    const index = first + tile;
    const top = index / tilesAcross;
    const left = index - top * tilesAcross;
    let pixel = target + top * outputs * rowBytes + left * outputs * pixelBytes;
    let point = m + tile * pixelBytes;
    const end = pixel + pixelBytes;
    let gain = gains;
    let shift = shifts;
    do {
      outputLines(kind, side, point, planeBytes, side * planeBytes, LINES, lineBytes, 16);
      outputLines(kind, outputs, LINES, 16, lineBytes, sums, outputs << 4, 16);
      const factor = v128.load(gain);
      const term = v128.load(shift);
      let sum = sums;
      let row = pixel;
      for (let y: usize = 0; y < outputs; y++) {
        let out = row;
        for (let x: usize = 0; x < outputs; x++) {
          let value = f32x4.add(f32x4.mul(v128.load(sum), factor), term);
          if (residual) value = f32x4.add(value, v128.load(out + residual));
          v128.store(out, f32x4.pmax(value, lowest));
          out += pixelBytes;
          sum += 16;
        }
        row += rowBytes;
      }
      gain += 16;
      shift += 16;
      pixel += 16;
      point += 16;
    } while (pixel < end);
  }
}

/** One-dimensional output transform of `lines` lines, with distances as in `inputLines`. */
function outputLines(
  kind: usize,
  lines: usize,
  source: usize,
  from: usize,
  fromLine: usize,
  target: usize,
  to: usize,
  toLine: usize,
): void {
  const two = f32x4.splat(2);
  const four = f32x4.splat(4);
  const eight = f32x4.splat(8);
  for (let line: usize = 0; line < lines; line++) {
    const m0 = v128.load(source);
    const m1 = v128.load(source + from);
    const m2 = v128.load(source + 2 * from);
    const m3 = v128.load(source + 3 * from);
    if (kind == 4) {
      const m4 = v128.load(source + 4 * from);
      const m5 = v128.load(source + 5 * from);
      const near = f32x4.add(m1, m2);
      const nearDifference = f32x4.sub(m1, m2);
      const far = f32x4.add(m3, m4);
      const farDifference = f32x4.sub(m3, m4);
      v128.store(target, f32x4.add(f32x4.add(m0, near), far));
      v128.store(target + to, f32x4.add(nearDifference, f32x4.mul(two, farDifference)));
      v128.store(target + 2 * to, f32x4.add(near, f32x4.mul(four, far)));
      v128.store(target + 3 * to, f32x4.add(f32x4.add(nearDifference, f32x4.mul(eight, farDifference)), m5));
    } else if (kind == 2) {
      v128.store(target, f32x4.add(f32x4.add(m0, m1), m2));
      v128.store(target + to, f32x4.sub(f32x4.sub(m1, m2), m3));
    } else if (kind == 14) {
      const m4 = v128.load(source + 4 * from);
      const near = f32x4.add(m1, m2);
      const nearDifference = f32x4.sub(m1, m2);
      const odd0 = v128.load(source + 5 * from);
      const odd1 = v128.load(source + 6 * from);
      const odd2 = v128.load(source + 7 * from);
      const odd3 = v128.load(source + 8 * from);
      v128.store(target, f32x4.add(f32x4.add(m0, near), f32x4.add(m3, odd0)));
      v128.store(target + to, f32x4.add(f32x4.add(nearDifference, odd1), f32x4.mul(two, m3)));
      v128.store(target + 2 * to, f32x4.add(f32x4.add(near, odd2), f32x4.mul(four, m3)));
      const tail = f32x4.add(m4, f32x4.mul(eight, m3));
      v128.store(target + 3 * to, f32x4.add(f32x4.add(nearDifference, odd3), tail));
    } else {
      v128.store(target, f32x4.add(f32x4.add(m0, m1), m3));
      v128.store(target + to, f32x4.add(f32x4.add(m1, m2), v128.load(source + 4 * from)));
    }
    source += fromLine;
    target += toLine;
  }
}
