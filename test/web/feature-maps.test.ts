import { describe, expect, it } from 'vitest';
import type { Activation, ChannelStatistics } from '../../shared/api.ts';
import { cutChannels, planeOf } from '../../web/feature-maps.ts';

function statisticsOf(channel: number, min: number, max: number): ChannelStatistics {
  return { channel, min, max, mean: (min + max) / 2, zeros: 0, dead: false };
}

function activationOf(shape: number[], channels: ChannelStatistics[], values: number[] | undefined): Activation {
  return {
    model: { id: 'id', name: 'model', channel: 'resnet18', seq: 0, mode: 'fast' },
    layer: { name: 'layer', kind: 'relu', shape, parameters: 0 },
    input: { sha256: '00' },
    channels,
    ...(values === undefined ? {} : { values }),
  };
}

describe('cutChannels', () => {
  it('cuts [height, width, channels] into one row-major plane for each channel', () => {
    const values = [1, 10, 2, 20, 3, 30, 4, 40, 5, 50, 6, 60];
    const cut = cutChannels(activationOf([2, 3, 2], [statisticsOf(0, 1, 6), statisticsOf(1, 10, 60)], values));
    expect(cut.maps.map((map) => [...map.values])).toEqual([
      [1, 2, 3, 4, 5, 6],
      [10, 20, 30, 40, 50, 60],
    ]);
    expect([cut.height, cut.width]).toEqual([2, 3]);
  });

  it('gives the range over all channels', () => {
    const statistics = [statisticsOf(0, -3, 1), statisticsOf(1, 0, 7)];
    expect(cutChannels(activationOf([1, 1, 2], statistics, [1, 7])).range).toEqual({ min: -3, max: 7 });
  });

  it('takes each feature of a layer without a plane as a channel', () => {
    const cut = cutChannels(activationOf([2], [statisticsOf(0, 4, 4), statisticsOf(1, 5, 5)], [4, 5]));
    expect(cut.maps.map((map) => [...map.values])).toEqual([[4], [5]]);
    expect(planeOf({ name: 'probs', kind: 'softmax', shape: [2], parameters: 0 })).toEqual({
      height: 1,
      width: 1,
      channels: 2,
    });
  });

  it.each([undefined, [1], [1, 2, 3]])('refuses %j as the values of two features', (values) => {
    const statistics = [statisticsOf(0, 1, 1), statisticsOf(1, 2, 2)];
    expect(() => cutChannels(activationOf([2], statistics, values))).toThrow(/does not have the shape/);
  });
});
