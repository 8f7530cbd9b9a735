/**
 * Any convolution as it is written down: every window, stride and channel count. It serves what Winograd does not: 1x1
 * projections, stems with few channels, large windows, and dense layers as a 1x1 convolution of a 1x1 map.
 *
 *   pixels [y][x][k], k padded to a multiple of 4, with a zero ring as wide as the padding
 *   w      [panel of 8 channels out][tap][k][8], in streams (see matrix-tiles)
 *
 * Six output pixels at a time are rows of a matrix tile; their weights pass by once per six pixels.
 */
import { LOWEST, ROW_TABLE, TAP_TABLE, TILE } from './scratch';
import { tile4Float32, tile6Float32 } from './matrix-tiles';

/** As in `transformOutput`: y = sum * gain + shift (+ residual) (then ReLU). `source` is the first tap of output 0. */
export function convolveDirect(
  source: usize,
  rowBytes: usize,
  pixelBytes: usize,
  kernelHeight: usize,
  kernelWidth: usize,
  stride: usize,
  w: usize,
  streamBytes: usize,
  panelBytes: usize,
  channels: usize,
  target: usize,
  targetRowBytes: usize,
  targetHeight: usize,
  targetWidth: usize,
  gains: usize,
  shifts: usize,
  residual: usize,
  hasRelu: usize,
): void {
  const lowest = hasRelu ? f32x4.splat(0) : f32x4.splat(LOWEST);
  const targetPixelBytes = channels << 2;
  // Output addresses stand behind the input addresses of the same rows.
  const outputTable = ROW_TABLE + 64;
  let taps: usize = 0;
  for (let y: usize = 0; y < kernelHeight; y++) {
    for (let x: usize = 0; x < kernelWidth; x++) {
      store<usize>(TAP_TABLE + (taps << 2), y * rowBytes + x * pixelBytes);
      taps++;
    }
  }
  let y: usize = 0;
  let x: usize = 0;
  let left = targetHeight * targetWidth;
  while (left > 0) {
    const rows: usize = left <= 4 || left == 8 ? 4 : 6;
    const used = min(rows, left);
    for (let row: usize = 0; row < rows; row++) {
      // Rows beyond the last pixel repeat it; their sums are not stored.
      if (row < used) {
        store<usize>(ROW_TABLE + (row << 2), source + y * stride * rowBytes + x * stride * pixelBytes);
        store<usize>(outputTable + (row << 2), target + y * targetRowBytes + x * targetPixelBytes);
        if (++x == targetWidth) {
          x = 0;
          y++;
        }
      } else {
        store<usize>(ROW_TABLE + (row << 2), load<usize>(ROW_TABLE + (row << 2) - 4));
      }
    }
    let panel = w;
    for (let channel: usize = 0; channel < targetPixelBytes; channel += 32) {
      if (rows == 6) tile6Float32(ROW_TABLE, TAP_TABLE, taps, pixelBytes, panel, streamBytes, TILE, 32);
      else tile4Float32(ROW_TABLE, TAP_TABLE, taps, pixelBytes, panel, streamBytes, TILE, 32);
      const gain0 = v128.load(gains + channel);
      const gain1 = v128.load(gains + channel, 16);
      const shift0 = v128.load(shifts + channel);
      const shift1 = v128.load(shifts + channel, 16);
      let sum = TILE;
      for (let row: usize = 0; row < used; row++) {
        const out = load<usize>(outputTable + (row << 2)) + channel;
        let value0 = f32x4.add(f32x4.mul(v128.load(sum), gain0), shift0);
        let value1 = f32x4.add(f32x4.mul(v128.load(sum, 16), gain1), shift1);
        if (residual) {
          value0 = f32x4.add(value0, v128.load(out + residual));
          value1 = f32x4.add(value1, v128.load(out + residual, 16));
        }
        v128.store(out, f32x4.pmax(value0, lowest));
        v128.store(out, f32x4.pmax(value1, lowest), 16);
        sum += 32;
      }
      panel += panelBytes;
    }
    left -= used;
  }
}
