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
import { LOWEST, ROW_TABLE, TAP_TABLE } from './scratch';
import { tile4Float32, tile4Int16, tile6Float32, tile6Int16, tileWideFloat32, tileWideInt16 } from './matrix-tiles';
import {
  readTile12,
  readTile14,
  readTile2,
  readTile4,
  writeTile12,
  writeTile14,
  writeTile2,
  writeTile4,
} from './transforms';

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
  for (let tile: usize = 0; tile < count; tile++) {
    const index = first + tile;
    const top = index / tilesAcross;
    const left = index - top * tilesAcross;
    let pixel = source + top * step * rowBytes + left * step * pixelBytes;
    let point = points + tile * pixelBytes;
    const end = pixel + pixelBytes;
    do {
      if (kind == 4) readTile4(pixel, rowBytes, pixelBytes, point, planeBytes);
      else if (kind == 2) readTile2(pixel, rowBytes, pixelBytes, point, planeBytes);
      else if (kind == 14) readTile14(pixel, rowBytes, pixelBytes, point, planeBytes);
      else readTile12(pixel, rowBytes, pixelBytes, point, planeBytes);
      pixel += 16;
      point += 16;
    } while (pixel < end);
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
 * The same for four rows at most, with panels of 12 channels: channels out are padded to a multiple of 12, in U, in the
 * scales and in M, whose rows are `mRowBytes` long.
 */
export function multiplyFourRows(
  isInt16: usize,
  side: usize,
  matrices: usize,
  v: usize,
  vPlaneBytes: usize,
  kBytes: usize,
  u: usize,
  uPlaneBytes: usize,
  streamBytes: usize,
  panelBytes: usize,
  scales: usize,
  m: usize,
  mPlaneBytes: usize,
  mRowBytes: usize,
): void {
  for (let y: usize = 0; y < side; y++) {
    for (let x: usize = 0; x < side; x++) {
      const matrix = min(y, matrices - 1) * matrices + min(x, matrices - 1);
      const scale = scales + matrix * mRowBytes;
      let panel = u + matrix * uPlaneBytes;
      for (let channel: usize = 0; channel < mRowBytes; channel += 48) {
        if (isInt16) tileWideInt16(v, kBytes, panel, streamBytes, m + channel, mRowBytes, scale + channel);
        else tileWideFloat32(v, kBytes, panel, streamBytes, m + channel, mRowBytes);
        panel += panelBytes;
      }
      v += vPlaneBytes;
      m += mPlaneBytes;
    }
  }
}

/**
 * y = (A^T M A) * gain + shift (+ residual) (then ReLU) for `count` tiles from the tile `first` on. `residual` is the
 * distance in bytes to a map of the same form that is added, or 0; `mRowBytes` lies between the tiles of M.
 */
export function transformOutput(
  kind: usize,
  m: usize,
  planeBytes: usize,
  mRowBytes: usize,
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
  const outputs = countOutputs(kind);
  const lowest = hasRelu ? f32x4.splat(0) : f32x4.splat(LOWEST);
  for (let tile: usize = 0; tile < count; tile++) {
    const index = first + tile;
    const top = index / tilesAcross;
    const left = index - top * tilesAcross;
    let pixel = target + top * outputs * rowBytes + left * outputs * pixelBytes;
    let point = m + tile * mRowBytes;
    const end = pixel + pixelBytes;
    let gain = gains;
    let shift = shifts;
    do {
      const factor = v128.load(gain);
      const term = v128.load(shift);
      if (kind == 4) writeTile4(point, planeBytes, pixel, rowBytes, pixelBytes, factor, term, residual, lowest);
      else if (kind == 2) writeTile2(point, planeBytes, pixel, rowBytes, pixelBytes, factor, term, residual, lowest);
      else if (kind == 14) writeTile14(point, planeBytes, pixel, rowBytes, pixelBytes, factor, term, residual, lowest);
      else writeTile12(point, planeBytes, pixel, rowBytes, pixelBytes, factor, term, residual, lowest);
      gain += 16;
      shift += 16;
      pixel += 16;
      point += 16;
    } while (pixel < end);
  }
}
