/** Which channels of a layer an answer shows: named ones, the strongest ones, or all. */
import { ProductError } from '../../shared/errors.ts';
import { sizesOf, type LayerValues } from './layer-values.ts';

/** Numbers and ranges, such as `3,5,8-12`. */
export const CHANNELS_PATTERN = /^\d{1,6}(-\d{1,6})?(,\d{1,6}(-\d{1,6})?)*$/;

export interface ChannelSelection {
  /** As `CHANNELS_PATTERN` has it; undefined: all. */
  channels: string | undefined;
  /** Of these, as many as have the greatest mean of absolute values; undefined: all. */
  top: number | undefined;
}

/**
 * Numbers of the channels in the order in which they are shown: as they were named, or strongest first.
 *
 * Errors   'request/invalid' for a channel that the layer lacks or that is named twice, and for more than there are
 */
export function selectChannels(layer: LayerValues, { channels, top }: ChannelSelection): number[] {
  const { channels: count } = sizesOf(layer.shape);
  const named =
    channels === undefined ? Array.from({ length: count }, (_, channel) => channel) : expand(channels, count);
  if (top === undefined) return named;
  if (top > named.length) {
    throw new ProductError(
      'request/invalid',
      `top is ${top}; there are ${named.length} channels; ask for at most so many`,
    );
  }
  const strengths = new Map(named.map((channel) => [channel, meanOfAbsolutes(layer, channel)]));
  const strengthOf = (channel: number): number => strengths.get(channel) ?? 0;
  // Equals stay in their order: toSorted is stable.
  return named.toSorted((a, b) => strengthOf(b) - strengthOf(a)).slice(0, top);
}

function expand(text: string, count: number): number[] {
  const channels = new Set<number>();
  for (const part of text.split(',')) {
    const [first = 0, last = first] = part.split('-').map(Number);
    if (last < first || last >= count) {
      throw new ProductError(
        'request/invalid',
        `channels has "${part}"; the layer has the channels 0 to ${count - 1}; name some of these, such as 0,2-3`,
        { details: { channels: count } },
      );
    }
    for (let channel = first; channel <= last; channel++) {
      if (channels.has(channel)) {
        throw new ProductError('request/invalid', `channels has ${channel} twice; name each channel once`);
      }
      channels.add(channel);
    }
  }
  return [...channels];
}

function meanOfAbsolutes({ shape, values }: LayerValues, channel: number): number {
  const { channels, places } = sizesOf(shape);
  let sum = 0;
  for (let index = channel; index < values.length; index += channels) sum += Math.abs(values[index] as number);
  return sum / places;
}

/** The shortest text that names these channels in this order: the form of the query. */
export function formatChannels(channels: readonly number[]): string {
  const runs: [first: number, last: number][] = [];
  for (const channel of channels) {
    const run = runs.at(-1);
    if (run !== undefined && run[1] + 1 === channel) run[1] = channel;
    else runs.push([channel, channel]);
  }
  return runs.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}
