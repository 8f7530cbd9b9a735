/**
 * Memory below HEAP_START belongs to the kernels while they run; nothing is kept there from one call to the next.
 *
 *   1024 ROW_TABLE    addresses of the rows of a matrix tile, or of a whole block of Winograd tiles (8 KiB)
 *   9216 TAP_TABLE    byte offsets of the pixels of a window (2 KiB: windows up to 512 pixels)
 *  11264 TILE         one 6 x 8 tile of sums (192 bytes)
 *  12288 LINES        a Winograd tile between its two passes: up to 81 vectors
 *  16384 PACK_VALUES  while weights are packed: of up to 36 matrices a vector for each k of a run (18 KiB)
 *  65536 HEAP_START
 */
export const ROW_TABLE: usize = 1024;
export const TAP_TABLE: usize = 9216;
export const TILE: usize = 11264;
export const LINES: usize = 12288;
export const PACK_VALUES: usize = 16384;
export const PACK_RUN: usize = 32;
/** Below every sum: what a missing ReLU compares with. */
export const LOWEST: f32 = -3.4028234663852886e38;
