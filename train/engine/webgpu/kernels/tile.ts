/**
 * The inner product of the convolution kernels: a workgroup of 64 threads computes a tile of outputs, each thread a block
 * of them in registers, from 16 terms at a time in workgroup memory.
 */
import { defineLaneKernels } from './kernel.ts';
import type { FieldTypes, Kernel, Lane, LaneKernels } from './kernel.ts';

export const TILE_THREADS = 64;
/** Terms of the sums that lie in workgroup memory at a time. */
export const TILE_DEPTH = 16;
export const TILE_ROWS = 64;
/** Quads in a line of tiles of rows; the one more than needed spreads the memory banks. */
export const ROW_PITCH_BY_TERM = TILE_DEPTH / 4 + 1;
export const ROW_PITCH_BY_ROW = TILE_ROWS / 4 + 1;

/** How many columns a tile has, and which outputs in it are a thread's. */
export interface TileForm {
  readonly columns: number;
  /** Quads of columns in a line of the tile of columns in memory. */
  readonly columnPitch: number;
  /** A thread has quads `columnLane`, `columnLane + columnLanes`, ... of columns, `quads` of them. */
  readonly columnLanes: number;
  readonly quads: number;
  /** And rows of that number, spread over `rowLanes` threads. */
  readonly rows: number;
  readonly rowLanes: number;
}

/** Blocks of 8 x 8: as many products as possible for each value that is loaded. */
const WIDE: TileForm = { columns: 64, columnPitch: 17, columnLanes: 8, quads: 2, rows: 8, rowLanes: 8 };
/** Blocks of 4 x 4: for few columns, most of which a wide tile would compute for nothing. */
const NARROW: TileForm = { columns: 16, columnPitch: 5, columnLanes: 4, quads: 1, rows: 4, rowLanes: 16 };

export interface TileKernels<Fields extends FieldTypes> {
  readonly wide: LaneKernels<Fields>;
  readonly narrow: LaneKernels<Fields>;
}

export function defineTileKernels<const Fields extends FieldTypes>(
  define: (lane: Lane, form: TileForm) => Kernel<Fields>,
): TileKernels<Fields> {
  return {
    wide: defineLaneKernels((lane) => define(lane, WIDE)),
    narrow: defineLaneKernels((lane) => define(lane, NARROW)),
  };
}

/** Which form suits a product with that many columns, and tiles of how many columns it has. */
export function chooseTile(columns: number): { form: keyof TileKernels<FieldTypes>; tileColumns: number } {
  if (columns * 2 <= WIDE.columns) return { form: 'narrow', tileColumns: NARROW.columns };
  return { form: 'wide', tileColumns: WIDE.columns };
}

/** The form for that many columns; four channels at a time where both numbers of channels are whole quads. */
export function pickKernel<Fields extends FieldTypes>(
  kernels: TileKernels<Fields>,
  { columns, channels, outChannels }: { columns: number; channels: number; outChannels: number },
): Kernel<Fields> {
  const { quads, singles } = kernels[chooseTile(columns).form];
  return channels % 4 === 0 && outChannels % 4 === 0 ? quads : singles;
}

const FOUR = ['x', 'y', 'z', 'w'];

function countTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}

/** The outputs of a thread, and which they are: `sumR_Q` is quad Q of columns of its row R. */
export function declareSums({ rows, quads, columnLanes }: TileForm): string {
  return `
  let rowLane = local / ${columnLanes}u;
  let columnLane = local % ${columnLanes}u;
  ${countTo(rows * quads)
    .map((each) => `var sum${Math.floor(each / quads)}_${each % quads} = vec4f(0);`)
    .join(' ')}`;
}

/** Both tiles; `tileRows` has four terms of one row in a quad. The thread's rows are rowLane + rowLanes * R. */
export function declareTilesByTerm({ columnPitch }: TileForm): string {
  return `
var<workgroup> tileRows: array<vec4f, ${TILE_ROWS * ROW_PITCH_BY_TERM}>;
var<workgroup> tileColumns: array<vec4f, ${TILE_DEPTH * columnPitch}>;`;
}

/** Add the first `terms` terms of the tiles to the sums. */
export function multiplyTilesByTerm({ columnPitch, columnLanes, quads, rows, rowLanes }: TileForm): string {
  const load = (term: number, quad: number): string =>
    `let b${term}_${quad} = tileColumns[first + ${term * columnPitch + quad * columnLanes}u];`;
  const add = (row: number, quad: number): string =>
    FOUR.map((part, term) => `sum${row}_${quad} += a${row}.${part} * b${term}_${quad};`).join(' ');
  return `
      for (var place = 0u; place < (terms + 3u) / 4u; place++) {
        let first = place * ${4 * columnPitch}u + columnLane;
        ${countTo(quads)
          .map((quad) => FOUR.map((_, term) => load(term, quad)).join(' '))
          .join('\n        ')}
        ${countTo(rows)
          .map(
            (row) => `let a${row} = tileRows[(rowLane + ${row * rowLanes}u) * ${ROW_PITCH_BY_TERM}u + place];
        ${countTo(quads)
          .map((quad) => add(row, quad))
          .join('\n        ')}`,
          )
          .join('\n        ')}
      }`;
}

/** Both tiles; `tileRows` has four rows of one term in a quad. The thread's rows are quads rowLane + rowLanes * Q. */
export function declareTilesByRow({ columnPitch }: TileForm): string {
  return `
var<workgroup> tileRows: array<vec4f, ${TILE_DEPTH * ROW_PITCH_BY_ROW}>;
var<workgroup> tileColumns: array<vec4f, ${TILE_DEPTH * columnPitch}>;`;
}

/** Add the first `terms` terms of the tiles to the sums. */
export function multiplyTilesByRow({ columnPitch, columnLanes, quads, rows, rowLanes }: TileForm): string {
  return `
      for (var term = 0u; term < terms; term++) {
        ${countTo(rows / 4)
          .map((quad) => `let a${quad} = tileRows[term * ${ROW_PITCH_BY_ROW}u + rowLane + ${quad * rowLanes}u];`)
          .join(' ')}
        ${countTo(quads)
          .map((quad) => `let b${quad} = tileColumns[term * ${columnPitch}u + columnLane + ${quad * columnLanes}u];`)
          .join(' ')}
        ${countTo(rows)
          .map((row) =>
            countTo(quads)
              .map((quad) => `sum${row}_${quad} += a${row >> 2}.${FOUR[row % 4]} * b${quad};`)
              .join(' '),
          )
          .join('\n        ')}
      }`;
}

/** Calls `store(corner, row, quad, value)` for each of the thread's outputs; `rowOf` says in WGSL which row of the tile R is. */
function storeSums({ rows, quads, columnLanes }: TileForm, rowOf: string): string {
  const sums = countTo(rows * quads).map((each) => `sum${Math.floor(each / quads)}_${each % quads}`);
  return `
  var sums = array<vec4f, ${rows * quads}>(${sums.join(', ')});
  for (var each = 0u; each < ${rows * quads}u; each++) {
    let R = each / ${quads}u;
    store(corner, ${rowOf}, columnLane + each % ${quads}u * ${columnLanes}u, sums[each]);
  }`;
}

export function storeByTerm(form: TileForm): string {
  return storeSums(form, `rowLane + R * ${form.rowLanes}u`);
}

export function storeByRow(form: TileForm): string {
  return storeSums(form, `(rowLane + R / 4u * ${form.rowLanes}u) * 4u + R % 4u`);
}

/** `loadName(at, left)`: four values from `at`, of which `left` are there, and zeros. */
export function defineLoad(name: string, buffer: string, lane: Lane): string {
  if (lane === 'vec4f') return `fn ${name}(at: u32, left: u32) -> vec4f { return ${buffer}[at / 4u]; }`;
  return `
fn ${name}(at: u32, left: u32) -> vec4f {
  var quad = vec4f(${buffer}[at], 0, 0, 0);
  if (left > 1u) { quad.y = ${buffer}[at + 1u]; }
  if (left > 2u) { quad.z = ${buffer}[at + 2u]; }
  if (left > 3u) { quad.w = ${buffer}[at + 3u]; }
  return quad;
}`;
}

/** `storeName(at, left, quad)`: the first `left` of four values from `at` on. */
export function defineStore(name: string, buffer: string, lane: Lane): string {
  if (lane === 'vec4f') return `fn ${name}(at: u32, left: u32, quad: vec4f) { ${buffer}[at / 4u] = quad; }`;
  return `
fn ${name}(at: u32, left: u32, quad: vec4f) {
  ${buffer}[at] = quad.x;
  if (left > 1u) { ${buffer}[at + 1u] = quad.y; }
  if (left > 2u) { ${buffer}[at + 2u] = quad.z; }
  if (left > 3u) { ${buffer}[at + 3u] = quad.w; }
}`;
}
