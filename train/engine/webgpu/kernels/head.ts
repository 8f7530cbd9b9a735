/** Behind the feature maps: dense layers, probabilities and the loss. */
import { defineKernel, FLAT_INDEX, THREADS_PER_GROUP } from './kernel.ts';

export const MATRIX_TILE = 16;

/**
 * a [rows, terms] x b [terms, columns] -> product [rows, columns]; the four steps say how far the next row, term or
 * column lies away, so a transposed matrix is one with other steps. Workgroups: row tiles x column tiles.
 */
export const MATRIX_PRODUCT = defineKernel({
  name: 'matrix product',
  fields: {
    rows: 'u32',
    terms: 'u32',
    columns: 'u32',
    aRowStep: 'u32',
    aTermStep: 'u32',
    bTermStep: 'u32',
    bColumnStep: 'u32',
    rowTiles: 'u32',
    columnTiles: 'u32',
  },
  reads: { a: 'f32', b: 'f32' },
  writes: { product: 'f32' },
  threads: MATRIX_TILE ** 2,
  declarations: `
var<workgroup> tileA: array<f32, ${MATRIX_TILE ** 2}>;
var<workgroup> tileB: array<f32, ${MATRIX_TILE ** 2}>;`,
  body: `
  if (group >= p.rowTiles * p.columnTiles) { return; }
  let line = local / ${MATRIX_TILE}u;
  let place = local % ${MATRIX_TILE}u;
  let row = group / p.columnTiles * ${MATRIX_TILE}u + line;
  let column = group % p.columnTiles * ${MATRIX_TILE}u + place;
  var sum = 0.0;
  for (var first = 0u; first < p.terms; first += ${MATRIX_TILE}u) {
    var a0 = 0.0;
    var b0 = 0.0;
    if (row < p.rows && first + place < p.terms) { a0 = a[row * p.aRowStep + (first + place) * p.aTermStep]; }
    if (column < p.columns && first + line < p.terms) { b0 = b[(first + line) * p.bTermStep + column * p.bColumnStep]; }
    tileA[local] = a0;
    tileB[local] = b0;
    workgroupBarrier();
    for (var term = 0u; term < ${MATRIX_TILE}u; term++) {
      sum += tileA[line * ${MATRIX_TILE}u + term] * tileB[term * ${MATRIX_TILE}u + place];
    }
    workgroupBarrier();
  }
  if (row < p.rows && column < p.columns) { product[row * p.columns + column] = sum; }`,
});

/** The largest logit and the sum of powers of a row, so that no power overflows. */
const MEASURE_ROW = `
  let start = index * p.classes;
  var largest = logits[start];
  for (var place = 1u; place < p.classes; place++) { largest = max(largest, logits[start + place]); }
  var sum = 0.0;
  for (var place = 0u; place < p.classes; place++) { sum += exp(logits[start + place] - largest); }`;

/** logits [count, classes] -> probabilities */
export const SOFTMAX = defineKernel({
  name: 'softmax',
  fields: { count: 'u32', classes: 'u32' },
  reads: { logits: 'f32' },
  writes: { probabilities: 'f32' },
  threads: THREADS_PER_GROUP,
  body: `${FLAT_INDEX}
  ${MEASURE_ROW}
  for (var place = 0u; place < p.classes; place++) {
    probabilities[start + place] = exp(logits[start + place] - largest) / sum;
  }`,
});

/** logits, targets [count, classes] -> losses [count]; dLogits of their mean */
export const SOFTMAX_CROSS_ENTROPY = defineKernel({
  name: 'softmax cross-entropy',
  fields: { count: 'u32', classes: 'u32' },
  reads: { logits: 'f32', targets: 'f32' },
  writes: { losses: 'f32', dLogits: 'f32' },
  threads: THREADS_PER_GROUP,
  body: `${FLAT_INDEX}
  ${MEASURE_ROW}
  let logSum = log(sum);
  var loss = 0.0;
  for (var place = 0u; place < p.classes; place++) {
    let apart = logits[start + place] - largest;
    let wanted = targets[start + place];
    loss += wanted * (logSum - apart);
    dLogits[start + place] = (exp(apart) / sum - wanted) / f32(p.count);
  }
  losses[index] = loss;`,
});
