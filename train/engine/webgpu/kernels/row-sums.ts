/**
 * Sums over the rows of [rows, channels]: 16 channels and 16 rows at a time in a workgroup, each workgroup a chunk of
 * the rows. What the workgroups found is summed by a second pass, in a fixed order, so that a run repeats bit by bit.
 */
import { defineKernel } from './kernel.ts';

export const CHANNELS_PER_GROUP = 16;
const LANES = 16;
export const REDUCTION_THREADS = CHANNELS_PER_GROUP * LANES;

/** Enough workgroups to fill a large GPU. */
const TARGET_GROUPS = 2048;
const SMALLEST_CHUNK = 256;

export interface RowChunks {
  rowsPerChunk: number;
  chunks: number;
  channelTiles: number;
  /** Workgroups of the first pass. */
  groups: number;
}

/** Cut rows into chunks, one for each workgroup of a tile of channels. */
export function planRowChunks(rows: number, channels: number): RowChunks {
  const channelTiles = Math.ceil(channels / CHANNELS_PER_GROUP);
  const rowsPerChunk = Math.max(SMALLEST_CHUNK, Math.ceil((rows * channelTiles) / TARGET_GROUPS));
  const chunks = Math.ceil(rows / rowsPerChunk);
  return { rowsPerChunk, chunks, channelTiles, groups: chunks * channelTiles };
}

/** `sumLanes(local, value)`: the sum over the 16 lanes of this thread's channel, as a tree; for all threads at once. */
export const SUM_LANES = `
var<workgroup> lanes: array<f32, ${REDUCTION_THREADS}>;
fn sumLanes(local: u32, value: f32) -> f32 {
  lanes[local] = value;
  workgroupBarrier();
  for (var reach = ${REDUCTION_THREADS / 2}u; reach >= ${CHANNELS_PER_GROUP}u; reach /= 2u) {
    if (local < reach) { lanes[local] += lanes[local + reach]; }
    workgroupBarrier();
  }
  let total = lanes[local % ${CHANNELS_PER_GROUP}u];
  workgroupBarrier();
  return total;
}`;

/** Fields of every first pass. */
export const CHUNK_FIELDS = {
  rows: 'u32',
  channels: 'u32',
  rowsPerChunk: 'u32',
  channelTiles: 'u32',
  groups: 'u32',
} as const;

/** Where a first pass starts: this thread sums rows `start + lane`, `+ 16`, ... below `end` of `channel`. */
export const CHUNK_PLACE = `
  if (group >= p.groups) { return; }
  let chunk = group / p.channelTiles;
  let channel = group % p.channelTiles * ${CHANNELS_PER_GROUP}u + local % ${CHANNELS_PER_GROUP}u;
  let lane = local / ${CHANNELS_PER_GROUP}u;
  let start = chunk * p.rowsPerChunk;
  let end = select(start, min(p.rows, start + p.rowsPerChunk), channel < p.channels);`;

/** The loop over those rows; `at` is the place of the value. */
export function loopOverRows(statement: string): string {
  return `
  for (var row = start + lane; row < end; row += ${LANES}u) {
    let at = row * p.channels + channel;
    ${statement}
  }`;
}

/** x [rows, channels] -> sums [chunks, channels] */
export const SUM_ROWS = defineKernel({
  name: 'sum rows',
  fields: CHUNK_FIELDS,
  reads: { x: 'f32' },
  writes: { sums: 'f32' },
  threads: REDUCTION_THREADS,
  declarations: SUM_LANES,
  body: `${CHUNK_PLACE}
  var sum = 0.0;
  ${loopOverRows('sum += x[at];')}
  let total = sumLanes(local, sum);
  if (lane == 0u && channel < p.channels) { sums[chunk * p.channels + channel] = total; }`,
});
