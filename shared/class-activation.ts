/**
 * The exact class activation map of a network that ends in global average pooling and one linear layer: no gradients, no
 * approximation. With A the maps before the pooling and W, b of the linear layer,
 * logit_c = b_c + mean_xy(sum_k W[k, c] A[x, y, k]), so the sum inside is a map whose mean is the logit without its bias.
 *
 * Source: Zhou et al. 2016, arXiv:1512.04150.
 */
import { ProductError } from './errors.ts';
import { LOGITS_LAYER } from './resnet.ts';
import type { LayerRow, LayerTable } from './resnet.ts';

/** Rows that change nothing in a network that is not being trained. */
const PASSING_KINDS: readonly string[] = ['dropout', 'identity'];

/**
 * The layer whose maps [height, width, channels] are pooled for the linear layer.
 *
 * Errors   'explain/unsupported' unless the network ends in global average pooling and one linear layer
 */
export function findPooledLayer(table: LayerTable): string {
  const rowOf = (name: string | undefined): LayerRow | undefined => table.find((row) => row.name === name);
  let pool = rowOf(rowOf(LOGITS_LAYER)?.inputs[0]);
  while (pool !== undefined && PASSING_KINDS.includes(pool.kind)) pool = rowOf(pool.inputs[0]);
  const layer = pool?.inputs[0];
  if (pool?.kind !== 'globalAveragePool' || layer === undefined) {
    throw new ProductError(
      'explain/unsupported',
      `"${LOGITS_LAYER}" reads "${pool?.name ?? 'nothing'}" (${pool?.kind ?? 'no layer'}); only a network that ends in global average pooling and one linear layer has a class activation map; ask with method=occlusion, which suits every network`,
    );
  }
  return layer;
}

export interface ClassActivation {
  /** [height, width], signed */
  map: Float64Array;
  /** [channels]: the mean of each channel's map */
  means: Float64Array;
  /** [channels]: what each adds to the logit; their sum is the mean of the map */
  contributions: Float64Array;
}

/**
 * The map of one class.
 *
 * Shapes   values [height, width, channels], weights [channels]: the class's column of the kernel
 */
export function computeClassActivation(values: Float32Array, weights: Float32Array): ClassActivation {
  const channels = weights.length;
  const places = values.length / channels;
  if (!Number.isInteger(places) || places === 0) {
    throw new Error(`internal: ${values.length} values are no maps of ${channels} channels`);
  }
  const map = new Float64Array(places);
  const means = new Float64Array(channels);
  for (let place = 0; place < places; place++) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++) {
      const value = values[place * channels + channel] as number;
      sum += value * (weights[channel] as number);
      means[channel] = (means[channel] as number) + value / places;
    }
    map[place] = sum;
  }
  return { map, means, contributions: means.map((mean, channel) => mean * (weights[channel] as number)) };
}

export interface MapSize {
  height: number;
  width: number;
}

/**
 * A map in another size, bilinear between the centres of its cells; outside of the outermost centres it goes on flat.
 *
 * Shapes   map [height, width] of `from` -> [height, width] of `to`
 */
export function resizeMap(map: ArrayLike<number>, from: MapSize, to: MapSize): Float64Array {
  if (map.length !== from.height * from.width) {
    throw new Error(`internal: ${map.length} values are no map of ${from.height} x ${from.width}`);
  }
  const rows = placeAlong(from.height, to.height);
  const columns = placeAlong(from.width, to.width);
  const valueAt = (y: number, x: number): number => map[y * from.width + x] as number;
  const resized = new Float64Array(to.height * to.width);
  rows.forEach((row, y) => {
    columns.forEach((column, x) => {
      const upper = mix(valueAt(row.before, column.before), valueAt(row.before, column.after), column.share);
      const lower = mix(valueAt(row.after, column.before), valueAt(row.after, column.after), column.share);
      resized[y * to.width + x] = mix(upper, lower, row.share);
    });
  });
  return resized;
}

interface Between {
  before: number;
  after: number;
  /** Of the latter. */
  share: number;
}

function placeAlong(from: number, to: number): Between[] {
  return Array.from({ length: to }, (_, index) => {
    const place = Math.min(from - 1, Math.max(0, ((index + 0.5) * from) / to - 0.5));
    const before = Math.floor(place);
    return { before, after: Math.min(from - 1, before + 1), share: place - before };
  });
}

function mix(first: number, second: number, share: number): number {
  return first + (second - first) * share;
}
