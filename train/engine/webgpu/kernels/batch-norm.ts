/**
 * Batch norm over the rows of [batch * height * width, channels].
 *
 * Statistics are stable for means far from zero: each chunk of rows first finds its own mean, then the squares around
 * it; chunks are combined as in Chan, Golub and LeVeque 1983 (doi:10.1080/00031305.1983.10483115).
 */
import { defineKernel, defineLaneKernels, FLAT_INDEX, THREADS_PER_GROUP } from './kernel.ts';
import {
  CHANNELS_PER_GROUP,
  CHUNK_FIELDS,
  CHUNK_PLACE,
  loopOverRows,
  REDUCTION_THREADS,
  SUM_LANES,
} from './row-sums.ts';

/** x [rows, channels] -> moments [chunks, 2, channels]: mean of the chunk, sum of squares around it */
export const CHUNK_MOMENTS = defineKernel({
  name: 'batch norm moments of chunks',
  fields: CHUNK_FIELDS,
  reads: { x: 'f32' },
  writes: { moments: 'f32' },
  threads: REDUCTION_THREADS,
  declarations: SUM_LANES,
  body: `${CHUNK_PLACE}
  var sum = 0.0;
  ${loopOverRows('sum += x[at];')}
  let mean = sumLanes(local, sum) / f32(max(end - start, 1u));
  var squares = 0.0;
  ${loopOverRows('squares += (x[at] - mean) * (x[at] - mean);')}
  let total = sumLanes(local, squares);
  if (lane == 0u && channel < p.channels) {
    moments[chunk * 2u * p.channels + channel] = mean;
    moments[(chunk * 2u + 1u) * p.channels + channel] = total;
  }`,
});

/** Where a second pass starts: this thread sums chunks `lane`, `+ 16`, ... of `channel`. */
const COMBINE_PLACE = `
  let channel = group * ${CHANNELS_PER_GROUP}u + local % ${CHANNELS_PER_GROUP}u;
  let lane = local / ${CHANNELS_PER_GROUP}u;
  if (group * ${CHANNELS_PER_GROUP}u >= p.channels) { return; }
  let chunks = select(0u, p.chunks, channel < p.channels);`;

function loopOverChunks(statement: string): string {
  return `
  for (var chunk = lane; chunk < chunks; chunk += ${REDUCTION_THREADS / CHANNELS_PER_GROUP}u) {
    let at = chunk * 2u * p.channels + channel;
    ${statement}
  }`;
}

/** moments [chunks, 2, channels] -> mean, unbiased variance [channels]; saved [2, channels]: mean, 1 / sqrt(biased + epsilon) */
export const COMBINE_MOMENTS = defineKernel({
  name: 'batch norm moments',
  fields: { rows: 'u32', channels: 'u32', rowsPerChunk: 'u32', chunks: 'u32', epsilon: 'f32' },
  reads: { moments: 'f32' },
  writes: { mean: 'f32', variance: 'f32', saved: 'f32' },
  threads: REDUCTION_THREADS,
  declarations: `${SUM_LANES}
fn countRows(chunk: u32) -> f32 { return f32(min(p.rowsPerChunk, p.rows - chunk * p.rowsPerChunk)); }`,
  body: `${COMBINE_PLACE}
  var sum = 0.0;
  ${loopOverChunks('sum += moments[at] * countRows(chunk);')}
  let centre = sumLanes(local, sum) / f32(p.rows);
  var squares = 0.0;
  ${loopOverChunks(`let apart = moments[at] - centre;
    squares += moments[at + p.channels] + apart * apart * countRows(chunk);`)}
  let total = sumLanes(local, squares);
  if (lane == 0u && channel < p.channels) {
    mean[channel] = centre;
    variance[channel] = total / (f32(p.rows) - 1.0);
    saved[channel] = centre;
    saved[p.channels + channel] = 1.0 / sqrt(total / f32(p.rows) + p.epsilon);
  }`,
});

/** `count` and `channels` in lanes; saved [2, channels] of {@link COMBINE_MOMENTS} */
export const NORMALIZE = defineLaneKernels((lane) =>
  defineKernel({
    name: 'batch norm',
    fields: { count: 'u32', channels: 'u32' },
    reads: { x: lane, gamma: lane, beta: lane, saved: lane },
    writes: { y: lane },
    threads: THREADS_PER_GROUP,
    body: `${FLAT_INDEX}
  let channel = index % p.channels;
  y[index] = (x[index] - saved[channel]) * (saved[p.channels + channel] * gamma[channel]) + beta[channel];`,
  }),
);

/** With given statistics; `count` and `channels` in lanes. */
export const NORMALIZE_BY = defineLaneKernels((lane) =>
  defineKernel({
    name: 'batch norm inference',
    fields: { count: 'u32', channels: 'u32', epsilon: 'f32' },
    reads: { x: lane, gamma: lane, beta: lane, mean: lane, variance: lane },
    writes: { y: lane },
    threads: THREADS_PER_GROUP,
    body: `${FLAT_INDEX}
  let channel = index % p.channels;
  let scale = gamma[channel] / sqrt(variance[channel] + ${lane}(p.epsilon));
  y[index] = (x[index] - mean[channel]) * scale + beta[channel];`,
  }),
);

/** dy, x [rows, channels], saved -> sums [chunks, 2, channels]: of dy, and of dy times normalised x */
export const CHUNK_GRADIENT_SUMS = defineKernel({
  name: 'batch norm gradient sums of chunks',
  fields: CHUNK_FIELDS,
  reads: { dy: 'f32', x: 'f32', saved: 'f32' },
  writes: { sums: 'f32' },
  threads: REDUCTION_THREADS,
  declarations: SUM_LANES,
  body: `${CHUNK_PLACE}
  let known = min(channel, p.channels - 1u);
  let mean = saved[known];
  let inverse = saved[p.channels + known];
  var plain = 0.0;
  var weighted = 0.0;
  ${loopOverRows(`plain += dy[at];
    weighted += dy[at] * ((x[at] - mean) * inverse);`)}
  let totalPlain = sumLanes(local, plain);
  let totalWeighted = sumLanes(local, weighted);
  if (lane == 0u && channel < p.channels) {
    sums[chunk * 2u * p.channels + channel] = totalPlain;
    sums[(chunk * 2u + 1u) * p.channels + channel] = totalWeighted;
  }`,
});

/** sums [chunks, 2, channels] -> dbeta, dgamma [channels] */
export const COMBINE_GRADIENT_SUMS = defineKernel({
  name: 'batch norm gradient sums',
  fields: { channels: 'u32', chunks: 'u32' },
  reads: { sums: 'f32' },
  writes: { dbeta: 'f32', dgamma: 'f32' },
  threads: REDUCTION_THREADS,
  declarations: SUM_LANES,
  body: `${COMBINE_PLACE}
  var plain = 0.0;
  var weighted = 0.0;
  ${loopOverChunks(`plain += sums[at];
    weighted += sums[at + p.channels];`)}
  let totalPlain = sumLanes(local, plain);
  let totalWeighted = sumLanes(local, weighted);
  if (lane == 0u && channel < p.channels) {
    dbeta[channel] = totalPlain;
    dgamma[channel] = totalWeighted;
  }`,
});

/** Ioffe and Szegedy 2015, arXiv:1502.03167, section 3; `count` and `channels` in lanes, `rows` as a number. */
export const NORMALIZE_GRADIENT = defineLaneKernels((lane) =>
  defineKernel({
    name: 'batch norm gradient',
    fields: { count: 'u32', channels: 'u32', rows: 'f32' },
    reads: { dy: lane, x: lane, gamma: lane, saved: lane, dbeta: lane, dgamma: lane },
    writes: { dx: lane },
    threads: THREADS_PER_GROUP,
    body: `${FLAT_INDEX}
  let channel = index % p.channels;
  let inverse = saved[p.channels + channel];
  let normalized = (x[index] - saved[channel]) * inverse;
  let inner = dy[index] - dbeta[channel] / p.rows - normalized * (dgamma[channel] / p.rows);
  dx[index] = inner * (gamma[channel] * inverse);`,
  }),
);
