/** The compiled kernels, with types: what `kernels/module.ts` exports. All numbers are addresses, bytes or counts. */

export interface Kernels {
  memory: WebAssembly.Memory;
  STREAMS: WebAssembly.Global<'i32'>;
  /** Channels of a panel where no more than four rows meet it. */
  FOUR_ROW_COLUMNS: WebAssembly.Global<'i32'>;
  transformInput(...values: number[]): void;
  multiplyPoints(...values: number[]): void;
  multiplyFourRows(...values: number[]): void;
  transformOutput(...values: number[]): void;
  convolveDirect(...values: number[]): void;
  decodeRows(...values: number[]): void;
  packDirect(...values: number[]): void;
  packWinograd(...values: number[]): void;
  finishScales(scales: number, count: number): void;
  importMap(...values: number[]): void;
  exportMap(...values: number[]): void;
  clearRing(...values: number[]): void;
  fillValue(target: number, bytes: number, value: number): void;
  copyPixels(...values: number[]): void;
  poolMaximum(...values: number[]): void;
  averageMap(...values: number[]): void;
  combine(operation: number, a: number, b: number, target: number, bytes: number): void;
  applyLinear(source: number, target: number, bytes: number, factor: number, term: number): void;
  applyChannels(...values: number[]): void;
  applyRelu(source: number, target: number, bytes: number): void;
  applySigmoid(source: number, target: number, bytes: number): void;
  applySoftmax(source: number, target: number, count: number): void;
  multiplyAddPeak(target: number, rounds: number): void;
}

/** Each instance has a memory of its own, of 64 KiB at first. */
export function instantiateKernels(module: WebAssembly.Module): Kernels {
  return new WebAssembly.Instance(module).exports as unknown as Kernels;
}

export type KernelVariant = 'relaxed' | 'relaxed-short' | 'simd';

/** A function with the relaxed instruction i8x16.relaxed_swizzle. */
const RELAXED_SIMD = [
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 15, 1, 13, 0, 65, 1, 253, 15, 65, 2],
  ...[253, 15, 253, 128, 2, 11],
];

/** A table with 64-bit indices: of no use here, but V8 has it since 13.3, and since 13 it keeps long loops in order. */
const TABLE64 = [0, 97, 115, 109, 1, 0, 0, 0, 4, 4, 1, 112, 4, 1];

/**
 * The build of the kernels that is fastest here. Where modules are static imports (Workers) there is no choice: there it
 * is `relaxed`.
 */
export function chooseVariant(): KernelVariant {
  if (!WebAssembly.validate(Uint8Array.from(RELAXED_SIMD))) return 'simd';
  return WebAssembly.validate(Uint8Array.from(TABLE64)) ? 'relaxed' : 'relaxed-short';
}
