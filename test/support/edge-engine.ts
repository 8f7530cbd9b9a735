/** The engine's builds for tests, and networks run on it and on tfjs' reference backend. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KernelVariant } from '../../shared/engine/kernel-module.ts';

export const VARIANTS: readonly KernelVariant[] = ['relaxed', 'relaxed-short', 'simd'];

export function readEngineBytes(variant: KernelVariant): Buffer {
  return readFileSync(join(import.meta.dirname, `../../shared/engine/wasm/edge-${variant}.wasm`));
}

export function compileEngineModule(variant: KernelVariant = 'relaxed'): WebAssembly.Module {
  return new WebAssembly.Module(Uint8Array.from(readEngineBytes(variant)));
}

/** The largest difference; infinite for lengths that differ and for what is no number. */
export function largestDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let largest = 0;
  for (let index = 0; index < expected.length; index++) {
    const difference = Math.abs((actual[index] ?? Number.NaN) - (expected[index] ?? Number.NaN));
    if (!(difference <= largest)) largest = Number.isNaN(difference) ? Infinity : difference;
  }
  return largest;
}

export function standardDeviation(values: ArrayLike<number>): number {
  const all = Array.from(values);
  const mean = all.reduce((sum, value) => sum + value, 0) / all.length;
  return Math.sqrt(all.reduce((sum, value) => sum + (value - mean) ** 2, 0) / all.length);
}
