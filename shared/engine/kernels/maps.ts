/**
 * Everything that moves or reduces whole maps [y][x][channel]: in and out of the arena, rings, padding, pooling.
 *
 *   +-------------------+   `rowBytes` from row to row, `pixelBytes` from pixel to pixel, both with padding:
 *   | ring  (before)    |   a map of C channels has C rounded up to 4 or 8, the others are zero or unused
 *   |   +-----------+   |
 *   |   | map       |   |   the ring is `before` pixels wide at the top and left, `after` at the bottom and right
 *   |   +-----------+   |
 *   | ring  (after)     |
 *   +-------------------+
 */
/** Dense [height][width][channels] to a padded map; the padding channels become zero. */
export function importMap(
  source: usize,
  target: usize,
  rowBytes: usize,
  pixelBytes: usize,
  height: usize,
  width: usize,
  channels: usize,
): void {
  for (let y: usize = 0; y < height; y++) {
    let pixel = target + y * rowBytes;
    for (let x: usize = 0; x < width; x++) {
      let channel: usize = 0;
      for (; channel < channels << 2; channel += 4) store<f32>(pixel + channel, load<f32>(source + channel));
      for (; channel < pixelBytes; channel += 4) store<f32>(pixel + channel, 0);
      source += channels << 2;
      pixel += pixelBytes;
    }
  }
}

/** The way back. */
export function exportMap(
  source: usize,
  target: usize,
  rowBytes: usize,
  pixelBytes: usize,
  height: usize,
  width: usize,
  channels: usize,
): void {
  const bytes = channels << 2;
  for (let y: usize = 0; y < height; y++) {
    const row = source + y * rowBytes;
    if (bytes == pixelBytes) {
      memory.copy(target, row, width * bytes);
      target += width * bytes;
      continue;
    }
    let pixel = row;
    for (let x: usize = 0; x < width; x++) {
      for (let channel: usize = 0; channel < bytes; channel += 4)
        store<f32>(target + channel, load<f32>(pixel + channel));
      target += bytes;
      pixel += pixelBytes;
    }
  }
}

function fill(from: usize, to: usize): void {
  const zero = f32x4.splat(0);
  for (; from < to; from += 16) v128.store(from, zero);
}

/** Set the ring to zero. `origin` is the first pixel of the ring. */
export function clearRing(
  origin: usize,
  rowBytes: usize,
  pixelBytes: usize,
  before: usize,
  height: usize,
  width: usize,
  after: usize,
): void {
  const leftBytes = before * pixelBytes;
  const rightBytes = after * pixelBytes;
  const top = origin + before * rowBytes;
  fill(origin, top + leftBytes);
  // The right end of a row and the left end of the next are one stretch.
  for (let y: usize = 1; y < height; y++) fill(top + y * rowBytes - rightBytes, top + y * rowBytes + leftBytes);
  const bottom = top + height * rowBytes;
  fill(bottom - rightBytes, bottom + after * rowBytes);
}

/** Set all of `bytes` (a multiple of 16) to one value. */
export function fillValue(target: usize, bytes: usize, value: f32): void {
  const vector = f32x4.splat(value);
  for (const end = target + bytes; target < end; target += 16) v128.store(target, vector);
}

/**
 * Copy every `stride`-th pixel of a map into another one, `channels` of each from channel 0 to channel `shift` on; the
 * rest of the target stays as it is.
 */
export function copyPixels(
  source: usize,
  sourceRowBytes: usize,
  sourcePixelBytes: usize,
  stride: usize,
  target: usize,
  targetRowBytes: usize,
  targetPixelBytes: usize,
  height: usize,
  width: usize,
  channels: usize,
  shift: usize,
): void {
  for (let y: usize = 0; y < height; y++) {
    let from = source + y * stride * sourceRowBytes;
    let to = target + y * targetRowBytes + (shift << 2);
    for (let x: usize = 0; x < width; x++) {
      for (let byte: usize = 0; byte < channels << 2; byte += 4) store<f32>(to + byte, load<f32>(from + byte));
      from += stride * sourcePixelBytes;
      to += targetPixelBytes;
    }
  }
}

/** Maximum over windows; pixels outside the map and values that are no number take no part. Window 0 starts `padTop`, `padLeft` before the map. */
export function poolMaximum(
  source: usize,
  rowBytes: usize,
  pixelBytes: usize,
  height: usize,
  width: usize,
  windowHeight: usize,
  windowWidth: usize,
  strideY: usize,
  strideX: usize,
  padTop: usize,
  padLeft: usize,
  target: usize,
  targetRowBytes: usize,
  targetHeight: usize,
  targetWidth: usize,
): void {
  for (let y: usize = 0; y < targetHeight; y++) {
    const top = <isize>(y * strideY) - <isize>padTop;
    const firstY = <usize>max<isize>(top, 0);
    const lastY = <usize>min<isize>(top + <isize>windowHeight, <isize>height);
    for (let x: usize = 0; x < targetWidth; x++) {
      const left = <isize>(x * strideX) - <isize>padLeft;
      const firstX = <usize>max<isize>(left, 0);
      const lastX = <usize>min<isize>(left + <isize>windowWidth, <isize>width);
      const out = target + y * targetRowBytes + x * pixelBytes;
      for (let channel: usize = 0; channel < pixelBytes; channel += 16) {
        let largest = f32x4.splat(-Infinity);
        for (let row = firstY; row < lastY; row++) {
          for (let column = firstX; column < lastX; column++) {
            largest = f32x4.pmax(largest, v128.load(source + row * rowBytes + column * pixelBytes + channel));
          }
        }
        v128.store(out + channel, largest);
      }
    }
  }
}

/** Mean of each channel over the map. */
export function averageMap(
  source: usize,
  rowBytes: usize,
  pixelBytes: usize,
  height: usize,
  width: usize,
  target: usize,
): void {
  const factor = f32x4.splat(1 / <f32>(height * width));
  for (let channel: usize = 0; channel < pixelBytes; channel += 16) {
    let sum = f32x4.splat(0);
    for (let y: usize = 0; y < height; y++) {
      let pixel = source + y * rowBytes + channel;
      for (let x: usize = 0; x < width; x++) {
        sum = f32x4.add(sum, v128.load(pixel));
        pixel += pixelBytes;
      }
    }
    v128.store(target + channel, f32x4.mul(sum, factor));
  }
}
