import { describe, expect, it } from 'vitest';
import type { ChannelStatistics } from '../../shared/api.ts';
import type { LayerReading } from '../../web/server.ts';
import { cutChannels, planeOf } from '../../web/feature-maps.ts';

function statisticsOf(channel: number, min: number, max: number): ChannelStatistics {
  return { channel, min, max, mean: (min + max) / 2, zeros: 0, dead: false };
}

interface Reading {
  shape: number[];
  statistics: ChannelStatistics[];
  values: number[];
  /** Of the array, where it is another one than that of the layer. */
  arrayShape?: number[];
}

function readingOf({ shape, statistics, values, arrayShape = shape }: Reading): LayerReading {
  return {
    activation: {
      model: { id: 'id', name: 'model', channel: null, seq: null, mode: 'fast' },
      layer: { name: 'layer', kind: 'relu', shape, parameters: 0 },
      input: { sha256: '00' },
      channels: statistics,
    },
    array: { shape: arrayShape, values: Float32Array.from(values) },
  };
}

describe('cutChannels', () => {
  it('cuts [height, width, channels] into one row-major plane for each channel', () => {
    const values = [1, 10, 2, 20, 3, 30, 4, 40, 5, 50, 6, 60];
    const statistics = [statisticsOf(0, 1, 6), statisticsOf(1, 10, 60)];
    const cut = cutChannels(readingOf({ shape: [2, 3, 2], statistics, values }));
    expect(cut.maps.map((map) => [...map.values])).toEqual([
      [1, 2, 3, 4, 5, 6],
      [10, 20, 30, 40, 50, 60],
    ]);
    expect([cut.height, cut.width]).toEqual([2, 3]);
  });

  it('gives the range over all channels', () => {
    const statistics = [statisticsOf(0, -3, 1), statisticsOf(1, 0, 7)];
    expect(cutChannels(readingOf({ shape: [1, 1, 2], statistics, values: [1, 7] })).range).toEqual({ min: -3, max: 7 });
  });

  it('takes each feature of a layer without a plane as a channel', () => {
    const statistics = [statisticsOf(0, 4, 4), statisticsOf(1, 5, 5)];
    const cut = cutChannels(readingOf({ shape: [2], statistics, values: [4, 5] }));
    expect(cut.maps.map((map) => [...map.values])).toEqual([[4], [5]]);
    expect(planeOf({ name: 'probs', kind: 'softmax', shape: [2], parameters: 0 })).toEqual({
      height: 1,
      width: 1,
      channels: 2,
    });
  });

  it('refuses values and statistics that are not of the shape of the layer', () => {
    const statistics = [statisticsOf(0, 1, 1), statisticsOf(1, 2, 2)];
    const [first] = statistics;
    const wrong: Reading[] = [
      { shape: [2], statistics, values: [1], arrayShape: [1] },
      { shape: [1, 2, 2], statistics, values: [1, 2, 3, 4], arrayShape: [2, 1, 2] },
      { shape: [2], statistics: first === undefined ? [] : [first], values: [1, 2] },
    ];
    for (const reading of wrong) expect(() => cutChannels(readingOf(reading))).toThrow(/does not have the shape/);
  });
});
