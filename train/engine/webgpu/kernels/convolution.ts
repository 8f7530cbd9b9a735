/**
 * Convolution and its input gradient as a matrix product whose left matrix is never stored (implicit GEMM): rows are
 * pixels, terms are kernel positions times channels.
 */
import { defineKernel } from './kernel.ts';
import {
  declareSums,
  declareTilesByTerm,
  defineLoad,
  defineStore,
  defineTileKernels,
  multiplyTilesByTerm,
  ROW_PITCH_BY_TERM,
  storeByTerm,
  TILE_DEPTH,
  TILE_ROWS,
  TILE_THREADS,
} from './tile.ts';

/** `batch` maps of height x width x channels are convolved to outHeight x outWidth x outChannels. */
const FIELDS = {
  batch: 'u32',
  height: 'u32',
  width: 'u32',
  channels: 'u32',
  outHeight: 'u32',
  outWidth: 'u32',
  outChannels: 'u32',
  size: 'u32',
  stride: 'u32',
  padding: 'u32',
  rowTiles: 'u32',
  columnTiles: 'u32',
} as const;

/** This thread's line of the tile of rows: terms from `base + first` on, or zeros; there are `count` of them in all. */
function loadRow(load: string, count: string): string {
  return `
      for (var quad = 0u; quad < (terms + 3u) / 4u; quad++) {
        let term = first + quad * 4u;
        var values = vec4f(0);
        if (isInside) { values = ${load}(base + term, ${count} - term); }
        tileRows[local * ${ROW_PITCH_BY_TERM}u + quad] = values;
      }`;
}

/** x [batch, height, width, channels], kernel [size, size, channels, outChannels] -> y; workgroups: row tiles x column tiles */
export const CONVOLUTION = defineTileKernels((lane, form) =>
  defineKernel({
    name: 'convolution',
    fields: FIELDS,
    reads: { x: lane, kernel: lane },
    writes: { y: lane },
    threads: TILE_THREADS,
    declarations: `${declareTilesByTerm(form)}
${defineLoad('loadX', 'x', lane)}
${defineLoad('loadKernel', 'kernel', lane)}
${defineStore('storeY', 'y', lane)}
// corner: row and column of the tile
fn store(corner: vec2u, row: u32, quad: u32, value: vec4f) {
  let pixel = corner.x + row;
  let output = corner.y + quad * 4u;
  if (pixel >= p.batch * p.outHeight * p.outWidth || output >= p.outChannels) { return; }
  storeY(pixel * p.outChannels + output, p.outChannels - output, value);
}`,
    body: `
  if (group >= p.rowTiles * p.columnTiles) { return; }
  let corner = vec2u(group / p.columnTiles * ${TILE_ROWS}u, group % p.columnTiles * ${form.columns}u);
  let rows = p.batch * p.outHeight * p.outWidth;
  let row = corner.x + local;
  let image = row / (p.outHeight * p.outWidth);
  let top = i32(row / p.outWidth % p.outHeight * p.stride) - i32(p.padding);
  let left = i32(row % p.outWidth * p.stride) - i32(p.padding);
  ${declareSums(form)}
  for (var tap = 0u; tap < p.size * p.size; tap++) {
    let line = top + i32(tap / p.size);
    let column = left + i32(tap % p.size);
    let isInside = row < rows && line >= 0 && line < i32(p.height) && column >= 0 && column < i32(p.width);
    let base = ((image * p.height + u32(line)) * p.width + u32(column)) * p.channels;
    for (var first = 0u; first < p.channels; first += ${TILE_DEPTH}u) {
      let terms = min(${TILE_DEPTH}u, p.channels - first);
      ${loadRow('loadX', 'p.channels')}
      for (var item = local; item < ${(TILE_DEPTH * form.columns) / 4}u; item += ${TILE_THREADS}u) {
        let term = first + item / ${form.columns / 4}u;
        let output = corner.y + item % ${form.columns / 4}u * 4u;
        var values = vec4f(0);
        if (term < p.channels && output < p.outChannels) {
          values = loadKernel((tap * p.channels + term) * p.outChannels + output, p.outChannels - output);
        }
        tileColumns[item / ${form.columns / 4}u * ${form.columnPitch}u + item % ${form.columns / 4}u] = values;
      }
      workgroupBarrier();
      ${multiplyTilesByTerm(form)}
      workgroupBarrier();
    }
  }
  ${storeByTerm(form)}`,
  }),
);

/**
 * dy [batch, outHeight, outWidth, outChannels], kernel -> dx [batch, height, width, channels].
 *
 * Pixels are taken by phase, their place within a stride: all of one phase are reached by the same kernel positions, so
 * nothing is multiplied by the zeros between the strides. Workgroups: phases x row tiles x column tiles.
 */
export const CONVOLUTION_INPUT_GRADIENT = defineTileKernels((lane, form) =>
  defineKernel({
    name: 'convolution input gradient',
    fields: FIELDS,
    reads: { dy: lane, kernel: lane },
    writes: { dx: lane },
    threads: TILE_THREADS,
    declarations: `${declareTilesByTerm(form)}
${defineLoad('loadDy', 'dy', lane)}
${defineLoad('loadKernel', 'kernel', lane)}
${defineStore('storeDx', 'dx', lane)}
struct Pixel { isInside: bool, image: u32, line: u32, column: u32 }
fn locate(row: u32, phase: vec2u) -> Pixel {
  let lines = (p.height + p.stride - 1u - phase.x) / p.stride;
  let columns = (p.width + p.stride - 1u - phase.y) / p.stride;
  let isInside = row < p.batch * lines * columns;
  let within = select(0u, row, isInside);
  let pixels = max(lines * columns, 1u);
  let line = within / max(columns, 1u) % max(lines, 1u) * p.stride + phase.x;
  return Pixel(isInside, within / pixels, line, within % max(columns, 1u) * p.stride + phase.y);
}
// corner: row and column of the tile, phase of the lines and of the columns
fn store(corner: vec4u, row: u32, quad: u32, value: vec4f) {
  let pixel = locate(corner.x + row, corner.zw);
  let channel = corner.y + quad * 4u;
  if (!pixel.isInside || channel >= p.channels) { return; }
  let at = ((pixel.image * p.height + pixel.line) * p.width + pixel.column) * p.channels + channel;
  storeDx(at, p.channels - channel, value);
}`,
    body: `
  let tilesPerPhase = p.rowTiles * p.columnTiles;
  if (group >= tilesPerPhase * p.stride * p.stride) { return; }
  let phase = vec2u(group / tilesPerPhase / p.stride, group / tilesPerPhase % p.stride);
  let tile = group % tilesPerPhase;
  let corner = vec4u(tile / p.columnTiles * ${TILE_ROWS}u, tile % p.columnTiles * ${form.columns}u, phase);
  let pixel = locate(corner.x + local, phase);
  // The thread's block of the tile of columns: 4 channels, 4 terms.
  let quadOfTerms = local % ${TILE_DEPTH / 4}u;
  let quadOfChannels = local / ${TILE_DEPTH / 4}u;
  let firstChannel = corner.y + quadOfChannels * 4u;
  ${declareSums(form)}
  for (var tap = 0u; tap < p.size * p.size; tap++) {
    let tapLine = tap / p.size;
    let tapColumn = tap % p.size;
    // How far a pixel of this phase lies behind its window's start; a multiple of size * stride keeps it positive.
    let reach = p.size * p.stride + p.padding;
    if ((phase.x + reach - tapLine) % p.stride != 0u || (phase.y + reach - tapColumn) % p.stride != 0u) { continue; }
    let above = i32(pixel.line + p.padding) - i32(tapLine);
    let before = i32(pixel.column + p.padding) - i32(tapColumn);
    let line = u32(max(above, 0)) / p.stride;
    let column = u32(max(before, 0)) / p.stride;
    let isInside = pixel.isInside && above >= 0 && before >= 0 && line < p.outHeight && column < p.outWidth;
    let base = ((pixel.image * p.outHeight + line) * p.outWidth + column) * p.outChannels;
    for (var first = 0u; first < p.outChannels; first += ${TILE_DEPTH}u) {
      let terms = min(${TILE_DEPTH}u, p.outChannels - first);
      ${loadRow('loadDy', 'p.outChannels')}
      if (local < ${(TILE_DEPTH * form.columns) / 16}u) {
        let term = first + quadOfTerms * 4u;
        var block = mat4x4f();
        for (var each = 0u; each < 4u; each++) {
          if (term < p.outChannels && firstChannel + each < p.channels) {
            let at = (tap * p.channels + firstChannel + each) * p.outChannels + term;
            block[each] = loadKernel(at, p.outChannels - term);
          }
        }
        let turned = transpose(block);
        for (var each = 0u; each < 4u; each++) {
          tileColumns[(quadOfTerms * 4u + each) * ${form.columnPitch}u + quadOfChannels] = turned[each];
        }
      }
      workgroupBarrier();
      ${multiplyTilesByTerm(form)}
      workgroupBarrier();
    }
  }
  ${storeByTerm(form)}`,
  }),
);
