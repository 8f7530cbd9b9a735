/** Alpha over white, the one background of the product; same rounding as Pillow's paste with a mask. */

/** round(value * alpha / 255 + 255 - alpha), all of them 0 to 255. */
export function composeByteOverWhite(value: number, alpha: number): number {
  if (alpha === 255) return value;
  const scaled = value * alpha + 255 * (255 - alpha) + 128;
  return (scaled + (scaled >> 8)) >> 8;
}

/**
 * [pixels, 4] RGBA, alpha not premultiplied -> [pixels, 3] RGB, in the front of the same memory: nothing is written
 * where it was not read before.
 */
export function composeOverWhite(rgba: Uint8Array): Uint8Array<ArrayBuffer> {
  const rgb = new Uint8Array(rgba.buffer as ArrayBuffer, rgba.byteOffset, (rgba.length / 4) * 3);
  for (let source = 0, target = 0; source < rgba.length; source += 4, target += 3) {
    const alpha = rgba[source + 3] as number;
    rgb[target] = composeByteOverWhite(rgba[source] as number, alpha);
    rgb[target + 1] = composeByteOverWhite(rgba[source + 1] as number, alpha);
    rgb[target + 2] = composeByteOverWhite(rgba[source + 2] as number, alpha);
  }
  return rgb;
}

/** Sets alpha of [pixels, 4] RGBA to 255, in place. */
export function makeOpaque(rgba: Uint8Array): void {
  for (let alpha = 3; alpha < rgba.length; alpha += 4) rgba[alpha] = 255;
}
