/** One layer's activations, cut into channels. Pure: no DOM, no requests. */
import type { ChannelStatistics, LayerDescription } from '../shared/api.ts';
import type { LayerReading } from './server.ts';
import type { ValueRange } from './colour-scale.ts';

export interface FeatureMap {
  statistics: ChannelStatistics;
  /** [height, width] row-major; one value for a layer without a picture plane */
  values: Float32Array;
}

export interface FeatureMaps {
  height: number;
  width: number;
  maps: readonly FeatureMap[];
  /** Over all channels. */
  range: ValueRange;
}

/** Size of one channel; a layer of features alone has one value for each. */
export function planeOf({ shape }: LayerDescription): { height: number; width: number; channels: number } {
  const [first = 1, second, third] = shape;
  if (second === undefined) return { height: 1, width: 1, channels: first };
  return { height: first, width: second, channels: third ?? 1 };
}

/** Throws where statistics and values are not of the shape of the layer: this page asks for all channels. */
export function cutChannels({ activation: { layer, channels: statistics }, array }: LayerReading): FeatureMaps {
  const { height, width, channels } = planeOf(layer);
  const area = height * width;
  if (array.shape.join() !== layer.shape.join() || statistics.length !== channels) {
    throw new Error(`internal: the server's answer for ${layer.name} does not have the shape that it names`);
  }
  const maps = statistics.map((each, channel): FeatureMap => {
    const plane = new Float32Array(area);
    for (let place = 0; place < area; place++) plane[place] = array.values[place * channels + channel] ?? Number.NaN;
    return { statistics: each, values: plane };
  });
  const range = {
    min: Math.min(...statistics.map(({ min }) => min)),
    max: Math.max(...statistics.map(({ max }) => max)),
  };
  return { height, width, maps, range };
}
