/**
 * Gradient of a convolution by its kernel as a matrix product: rows are kernel positions times channels, terms are the
 * pixels of all images. These are many terms for few outputs, so the terms are split over workgroups; the sums of the
 * splits are added by `SUM_ROWS`.
 */
import { defineKernel } from './kernel.ts';
import {
  chooseTile,
  declareSums,
  declareTilesByRow,
  defineLoad,
  defineStore,
  defineTileKernels,
  multiplyTilesByRow,
  ROW_PITCH_BY_ROW,
  storeByRow,
  TILE_DEPTH,
  TILE_ROWS,
  TILE_THREADS,
} from './tile.ts';

/** Enough workgroups to fill a large GPU. */
const TARGET_GROUPS = 1024;
const SMALLEST_SPLIT = 256;

export interface KernelGradientPlan {
  rowTiles: number;
  columnTiles: number;
  splits: number;
  pixelsPerSplit: number;
}

/** How to cut a product of rows x columns over `pixels` terms. */
export function planKernelGradient(rows: number, columns: number, pixels: number): KernelGradientPlan {
  const rowTiles = Math.ceil(rows / TILE_ROWS);
  const columnTiles = Math.ceil(columns / chooseTile(columns).tileColumns);
  const wanted = Math.min(Math.ceil(TARGET_GROUPS / (rowTiles * columnTiles)), Math.ceil(pixels / SMALLEST_SPLIT));
  const pixelsPerSplit = Math.ceil(pixels / wanted / TILE_DEPTH) * TILE_DEPTH;
  return { rowTiles, columnTiles, splits: Math.ceil(pixels / pixelsPerSplit), pixelsPerSplit };
}

/** Four rows lie side by side in x. */
const LOAD_QUAD = `
fn loadRows(row: u32, image: u32, top: i32, left: i32) -> vec4f {
  if (row >= p.size * p.size * p.channels) { return vec4f(0); }
  let tap = row / p.channels;
  let line = top + i32(tap / p.size);
  let column = left + i32(tap % p.size);
  if (line < 0 || line >= i32(p.height) || column < 0 || column >= i32(p.width)) { return vec4f(0); }
  return x[(((image * p.height + u32(line)) * p.width + u32(column)) * p.channels + row % p.channels) / 4u];
}`;

/** Each row has its own place. */
const LOAD_SINGLES = `
fn loadRows(row: u32, image: u32, top: i32, left: i32) -> vec4f {
  var values = vec4f(0);
  for (var each = 0u; each < 4u; each++) {
    let tap = (row + each) / p.channels;
    let line = top + i32(tap / p.size);
    let column = left + i32(tap % p.size);
    if (tap < p.size * p.size && line >= 0 && line < i32(p.height) && column >= 0 && column < i32(p.width)) {
      let at = ((image * p.height + u32(line)) * p.width + u32(column)) * p.channels + (row + each) % p.channels;
      values[each] = x[at];
    }
  }
  return values;
}`;

/** x, dy -> sums [splits, size * size * channels, outChannels]; workgroups: splits x row tiles x column tiles */
export const CONVOLUTION_KERNEL_GRADIENT = defineTileKernels((lane, form) =>
  defineKernel({
    name: 'convolution kernel gradient',
    fields: {
      height: 'u32',
      width: 'u32',
      channels: 'u32',
      outHeight: 'u32',
      outWidth: 'u32',
      outChannels: 'u32',
      size: 'u32',
      stride: 'u32',
      padding: 'u32',
      pixels: 'u32',
      pixelsPerSplit: 'u32',
      splits: 'u32',
      rowTiles: 'u32',
      columnTiles: 'u32',
    },
    reads: { x: lane, dy: lane },
    writes: { sums: lane },
    threads: TILE_THREADS,
    declarations: `${declareTilesByRow(form)}
${lane === 'vec4f' ? LOAD_QUAD : LOAD_SINGLES}
${defineLoad('loadDy', 'dy', lane)}
${defineStore('storeSum', 'sums', lane)}
// corner: row and column of the tile, split
fn store(corner: vec3u, row: u32, quad: u32, value: vec4f) {
  let rows = p.size * p.size * p.channels;
  let output = corner.y + quad * 4u;
  if (corner.x + row >= rows || output >= p.outChannels) { return; }
  storeSum((corner.z * rows + corner.x + row) * p.outChannels + output, p.outChannels - output, value);
}`,
    body: `
  let tiles = p.rowTiles * p.columnTiles;
  if (group >= tiles * p.splits) { return; }
  let split = group / tiles;
  let tile = group % tiles;
  let corner = vec3u(tile / p.columnTiles * ${TILE_ROWS}u, tile % p.columnTiles * ${form.columns}u, split);
  let end = min(p.pixels, (split + 1u) * p.pixelsPerSplit);
  ${declareSums(form)}
  for (var first = split * p.pixelsPerSplit; first < end; first += ${TILE_DEPTH}u) {
    let terms = min(${TILE_DEPTH}u, end - first);
    for (var item = local; item < ${(TILE_DEPTH * TILE_ROWS) / 4}u; item += ${TILE_THREADS}u) {
      let term = item / ${TILE_ROWS / 4}u;
      let quad = item % ${TILE_ROWS / 4}u;
      let pixel = first + term;
      if (term >= terms) { break; }
      let top = i32(pixel / p.outWidth % p.outHeight * p.stride) - i32(p.padding);
      let left = i32(pixel % p.outWidth * p.stride) - i32(p.padding);
      let image = pixel / (p.outHeight * p.outWidth);
      tileRows[term * ${ROW_PITCH_BY_ROW}u + quad] = loadRows(corner.x + quad * 4u, image, top, left);
    }
    for (var item = local; item < ${(TILE_DEPTH * form.columns) / 4}u; item += ${TILE_THREADS}u) {
      let term = item / ${form.columns / 4}u;
      let quad = item % ${form.columns / 4}u;
      let output = corner.y + quad * 4u;
      if (term >= terms) { break; }
      var values = vec4f(0);
      if (output < p.outChannels) {
        values = loadDy((first + term) * p.outChannels + output, p.outChannels - output);
      }
      tileColumns[term * ${form.columnPitch}u + quad] = values;
    }
    workgroupBarrier();
    ${multiplyTilesByRow(form)}
    workgroupBarrier();
  }
  ${storeByRow(form)}`,
  }),
);
