/**
 * Value by value over `bytes` (a multiple of 16) of memory, whatever its shape: rings and padding channels are worked on
 * too, which costs less than leaving them out.
 */

/** 0 add, 1 subtract, 2 multiply */
export function combine(operation: usize, a: usize, b: usize, target: usize, bytes: usize): void {
  for (const end = a + bytes; a < end; a += 16) {
    const left = v128.load(a);
    const right = v128.load(b);
    if (operation == 0) v128.store(target, f32x4.add(left, right));
    else if (operation == 1) v128.store(target, f32x4.sub(left, right));
    else v128.store(target, f32x4.mul(left, right));
    b += 16;
    target += 16;
  }
}

/** x * factor + term */
export function applyLinear(source: usize, target: usize, bytes: usize, factor: f32, term: f32): void {
  const factors = f32x4.splat(factor);
  const terms = f32x4.splat(term);
  for (const end = source + bytes; source < end; source += 16) {
    v128.store(target, f32x4.add(f32x4.mul(v128.load(source), factors), terms));
    target += 16;
  }
}

/** x * gain + shift per channel, over `bytes` / `pixelBytes` pixels. */
export function applyChannels(
  source: usize,
  target: usize,
  bytes: usize,
  pixelBytes: usize,
  gains: usize,
  shifts: usize,
): void {
  const end = source + bytes;
  while (source < end) {
    for (let channel: usize = 0; channel < pixelBytes; channel += 16) {
      const scaled = f32x4.mul(v128.load(source + channel), v128.load(gains + channel));
      v128.store(target + channel, f32x4.add(scaled, v128.load(shifts + channel)));
    }
    source += pixelBytes;
    target += pixelBytes;
  }
}

export function applyRelu(source: usize, target: usize, bytes: usize): void {
  const zero = f32x4.splat(0);
  for (const end = source + bytes; source < end; source += 16) {
    v128.store(target, f32x4.pmax(v128.load(source), zero));
    target += 16;
  }
}

/**
 * e^x as 2^n * e^r with |r| <= ln(2) / 2, the polynomial and the split ln(2) of Cephes' expf; about 1 unit in the last
 * place. Below -87.3 and above 88 it stays at the ends of float32's normal range.
 */
function exponentiate(x: v128): v128 {
  const bounded = f32x4.max(f32x4.min(x, f32x4.splat(88)), f32x4.splat(-87.3));
  const n = f32x4.nearest(f32x4.mul(bounded, f32x4.splat(1.4426950408889634)));
  let r = f32x4.sub(bounded, f32x4.mul(n, f32x4.splat(0.693359375)));
  r = f32x4.sub(r, f32x4.mul(n, f32x4.splat(-2.1219444e-4)));
  let p = f32x4.splat(1.98756915e-4);
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.3981999507e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(8.3334519073e-3));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(4.1665795894e-2));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.6666665459e-1));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(0.5));
  p = f32x4.add(f32x4.add(f32x4.mul(p, f32x4.mul(r, r)), r), f32x4.splat(1));
  const power = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23);
  return f32x4.mul(p, power);
}

/** 1 / (1 + e^-x) */
export function applySigmoid(source: usize, target: usize, bytes: usize): void {
  const one = f32x4.splat(1);
  for (const end = source + bytes; source < end; source += 16) {
    const inverse = exponentiate(f32x4.neg(v128.load(source)));
    v128.store(target, f32x4.div(one, f32x4.add(one, inverse)));
    target += 16;
  }
}

/** e^(x - max) over its sum, for `count` values of one row; memory up to the next multiple of 16 bytes is written. */
export function applySoftmax(source: usize, target: usize, count: usize): void {
  let largest = load<f32>(source);
  for (let index: usize = 1; index < count; index++) largest = max(largest, load<f32>(source + (index << 2)));
  const shift = f32x4.splat(largest);
  const bytes = count << 2;
  for (let byte: usize = 0; byte < bytes; byte += 16) {
    v128.store(target + byte, exponentiate(f32x4.sub(v128.load(source + byte), shift)));
  }
  let sum: f32 = 0;
  for (let byte: usize = 0; byte < bytes; byte += 4) sum += load<f32>(target + byte);
  for (let byte: usize = 0; byte < bytes; byte += 4) store<f32>(target + byte, load<f32>(target + byte) / sum);
}
