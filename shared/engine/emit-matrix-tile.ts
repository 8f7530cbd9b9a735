/**
 * Writes the AssemblyScript source of the innermost kernels: a tile of `rows` x 8 sums, all held in registers. It is
 * written by a program because registers need names: 6 rows are 12 accumulators, 2 weight vectors and 1 broadcast
 * value, the 15 vector registers that V8 hands out. A larger tile spills, a smaller one reads more than it computes.
 *
 *   c[row][0..8) = sum over tap, k of a[row][tap][k] * b[tap][k][0..8)
 *
 *   rowTable    `rows` addresses, one per row of a
 *   tapTable    `taps` byte offsets that are added to each of them (the pixels of a window)
 *   k           `kBytes` / 4 consecutive float32 behind each such address, a multiple of 4
 *   b           `streams` sequences of 4-lane vectors, each `streamBytes` from the one before:
 *
 *       4 streams:  k even, lanes 0-3 | k even, lanes 4-7 | k odd, lanes 0-3 | k odd, lanes 4-7
 *       2 streams:  lanes 0-3 | lanes 4-7
 *
 * One core reads several long streams faster than one: the hardware prefetcher follows each of them to the end of its
 * page. Weights are float32, or int16 with one `scale` per column that is applied to the finished sum.
 *
 * Four rows of eight are 8 sums, too few: a core starts two multiply-adds per cycle, each of which takes four cycles, so
 * every sum would have to be ready on time always. Where four rows are all there is, tiles of 4 x 12 keep 12 sums going,
 * from 3 streams (lanes 0-3 | 4-7 | 8-11). The rows are broadcast a second time for the third vector of weights, because
 * 12 sums, 3 vectors and a row would be one register more than there are. V8 from 14 on makes two loads of one address
 * one, and then spills sums: so the pointers start four bytes low, and between the two broadcasts of a value they move on.
 */

export interface MatrixTileVariant {
  /** One instruction for a * b + c, rounded as the CPU likes; otherwise two, rounded the same everywhere. */
  relaxed: boolean;
  streams: 2 | 4;
  /** Values of k in one round of the loop; a multiple of streams / 2. V8 before 13 reorders long rounds and spills. */
  unroll: 1 | 2 | 4;
  /** Whether tiles of 4 x 12 are faster than 4 x 8: not where V8 reorders, nor where a product needs a register. */
  isWide: boolean;
}

/**
 * Source of `tile6Float32`, `tile4Float32`, `tile6Int16`, `tile4Int16`, `tileWideFloat32`, `tileWideInt16`,
 * `multiplyAddPeak` and the constants `STREAMS` and `FOUR_ROW_COLUMNS`.
 */
export function emitMatrixTiles(variant: MatrixTileVariant): string {
  const tiles = [6, 4].flatMap((rows) => [emitTile(rows, false, variant), emitTile(rows, true, variant)]);
  const wide = [emitWideTile(false, variant), emitWideTile(true, variant)];
  const constants = [
    `export const STREAMS: usize = ${variant.streams};`,
    `export const FOUR_ROW_COLUMNS: usize = ${variant.isWide ? 12 : 8};`,
  ];
  return [...constants, emitPeak(variant), ...tiles, ...wide].join('\n');
}

/** How fast the machine multiplies and adds when nothing else is in its way: the ceiling that the benchmark names. */
function emitPeak({ relaxed }: MatrixTileVariant): string {
  const sums = Array.from({ length: 12 }, (_, index) => `c${index}`);
  return [
    '/** `rounds` x 12 independent vector multiply-adds; the sums are left at `target`, so that nothing is left out. */',
    'export function multiplyAddPeak(target: usize, rounds: usize): void {',
    '  const x = v128.load(target), y = v128.load(target, 16);',
    ...sums.map((sum) => `  let ${sum} = v128.load(target, 32);`),
    '  for (; rounds > 0; rounds--) {',
    ...sums.map(
      (sum) => `    ${sum} = ${relaxed ? `f32x4.relaxed_madd(x, y, ${sum})` : `f32x4.add(f32x4.mul(x, y), ${sum})`};`,
    ),
    '  }',
    ...sums.map((sum, index) => `  v128.store(target, ${sum}, ${index * 16});`),
    '}',
  ].join('\n');
}

function each(count: number, line: (index: number) => string): string[] {
  return Array.from({ length: count }, (_, index) => line(index));
}

function writeMultiplyAdd(relaxed: boolean, a: string, b: string, c: string): string {
  return relaxed ? `f32x4.relaxed_madd(${a}, ${b}, ${c})` : `f32x4.add(${c}, f32x4.mul(${a}, ${b}))`;
}

function writeWeights(isInt16: boolean, stream: number, offset: number): string {
  return isInt16 ? `f32x4.convert_i32x4_s(v128.load16x4_s(b${stream}, ${offset}))` : `v128.load(b${stream}, ${offset})`;
}

/** Four rows `rowBytes` apart, one window of `kBytes`, 12 columns. */
function emitWideTile(isInt16: boolean, { relaxed, unroll }: MatrixTileVariant): string {
  const vectorBytes = isInt16 ? 8 : 16;
  const multiplyAdd = (step: number, row: number, column: number): string =>
    `      c${row}_${column} = ${writeMultiplyAdd(relaxed, `x${step}_${row}`, `w${step}_${column}`, `c${row}_${column}`)};`;
  const oneStep = (step: number): string[] => [
    ...each(2, (column) => `      const w${step}_${column} = ${writeWeights(isInt16, column, step * vectorBytes)};`),
    ...each(4, (row) =>
      [
        `      let x${step}_${row} = v128.load32_splat(a${row}, 4);`,
        ...each(2, (column) => multiplyAdd(step, row, column)),
      ].join('\n'),
    ),
    ...each(4, (row) => `      a${row} += 4;`),
    `      const w${step}_2 = ${writeWeights(isInt16, 2, step * vectorBytes)};`,
    ...each(4, (row) => [`      x${step}_${row} = v128.load32_splat(a${row});`, multiplyAdd(step, row, 2)].join('\n')),
  ];
  const stored = (row: number, column: number): string =>
    isInt16 ? `f32x4.mul(c${row}_${column}, s${column})` : `c${row}_${column}`;
  return [
    `export function tileWide${isInt16 ? 'Int16' : 'Float32'}(`,
    '  a: usize, kBytes: usize, b: usize, streamBytes: usize, c: usize, cRowBytes: usize',
    `  ${isInt16 ? ', scale: usize' : ''}): void {`,
    ...each(4, (row) => each(3, (column) => `  let c${row}_${column} = f32x4.splat(0);`).join('\n')),
    ...each(4, (row) => `  let a${row} = a + ${row} * kBytes - 4;`),
    ...each(3, (stream) => `  let b${stream} = b + ${stream} * streamBytes;`),
    '  const end = a0 + kBytes;',
    '  do {',
    ...Array.from({ length: unroll }, (_, step) => oneStep(step)).flat(),
    ...each(3, (stream) => `      b${stream} += ${unroll * vectorBytes};`),
    '  } while (a0 < end);',
    ...(isInt16 ? each(3, (column) => `  const s${column} = v128.load(scale, ${column * 16});`) : []),
    ...each(4, (row) =>
      [
        ...each(3, (column) => `  v128.store(c, ${stored(row, column)}, ${column * 16});`),
        ...(row < 3 ? ['  c += cRowBytes;'] : []),
      ].join('\n'),
    ),
    '}',
  ].join('\n');
}

function emitTile(rows: number, isInt16: boolean, { relaxed, streams, unroll }: MatrixTileVariant): string {
  const vectorBytes = isInt16 ? 8 : 16;
  const stepBytes = (vectorBytes * 2 * unroll) / streams;
  const loadWeights = (step: number, half: number): string => {
    const stream = streams === 4 ? (step & 1) * 2 + half : half;
    const offset = (streams === 4 ? step >> 1 : step) * vectorBytes;
    return writeWeights(isInt16, stream, offset);
  };
  const oneStep = (step: number): string[] => [
    ...each(2, (half) => `      const w${step}_${half} = ${loadWeights(step, half)};`),
    ...each(rows, (row) =>
      [
        `      const x${step}_${row} = v128.load32_splat(a${row}, ${step * 4});`,
        ...each(2, (half) => {
          const sum = `c${row}_${half}`;
          return `      ${sum} = ${writeMultiplyAdd(relaxed, `x${step}_${row}`, `w${step}_${half}`, sum)};`;
        }),
      ].join('\n'),
    ),
  ];
  const stored = (row: number, half: number): string =>
    isInt16 ? `f32x4.mul(c${row}_${half}, s${half})` : `c${row}_${half}`;
  return [
    `export function tile${rows}${isInt16 ? 'Int16' : 'Float32'}(`,
    '  rowTable: usize, tapTable: usize, taps: usize, kBytes: usize, b: usize, streamBytes: usize, c: usize,',
    `  cRowBytes: usize${isInt16 ? ', scale: usize' : ''}`,
    '): void {',
    ...each(rows, (row) => `  let c${row}_0 = f32x4.splat(0), c${row}_1 = f32x4.splat(0);`),
    ...each(rows, (row) => `  const p${row} = load<usize>(rowTable, ${row * 4});`),
    ...each(streams, (stream) => `  let b${stream} = b + ${stream} * streamBytes;`),
    '  const lastTap = tapTable + (taps << 2);',
    '  do {',
    '    const offset = load<usize>(tapTable);',
    '    tapTable += 4;',
    ...each(rows, (row) => `    let a${row} = p${row} + offset;`),
    '    const end = a0 + kBytes;',
    '    do {',
    ...Array.from({ length: unroll }, (_, step) => oneStep(step)).flat(),
    ...each(rows, (row) => `      a${row} += ${unroll * 4};`),
    ...each(streams, (stream) => `      b${stream} += ${stepBytes};`),
    '    } while (a0 < end);',
    '  } while (tapTable < lastTap);',
    ...(isInt16 ? each(2, (half) => `  const s${half} = v128.load(scale, ${half * 16});`) : []),
    ...each(rows, (row) =>
      [
        ...each(2, (half) => `  v128.store(c, ${stored(row, half)}, ${half * 16});`),
        ...(row < rows - 1 ? ['  c += cRowBytes;'] : []),
      ].join('\n'),
    ),
    '}',
  ].join('\n');
}
