import { describe, expect, test } from 'vitest';
import { describeChannels, drawChannels } from '../../../serve/answer/activation-view.ts';

/** Two by two places, three channels: rising, dead, and one of both signs. */
const SHAPE = [2, 2, 3];
const ALL = { channels: [0, 1, 2], scale: 1 };
const VALUES = Float32Array.from([1, 0, -4, 2, 0, 0, 3, 0, 0, 4, 0, 4]);

describe('describeChannels', () => {
  test('gives extremes, mean and share of zeros of each channel', () => {
    expect(describeChannels({ shape: SHAPE, values: VALUES }, [0, 1, 2])).toEqual([
      { channel: 0, min: 1, max: 4, mean: 2.5, zeros: 0, dead: false },
      { channel: 1, min: 0, max: 0, mean: 0, zeros: 1, dead: true },
      { channel: 2, min: -4, max: 4, mean: 0, zeros: 0.5, dead: false },
    ]);
  });

  test('takes each feature for a channel of one value', () => {
    expect(describeChannels({ shape: [2], values: Float32Array.of(5, 0) }, [0, 1])).toEqual([
      { channel: 0, min: 5, max: 5, mean: 5, zeros: 0, dead: false },
      { channel: 1, min: 0, max: 0, mean: 0, zeros: 1, dead: true },
    ]);
  });
});

describe('drawChannels', () => {
  test('puts the channels into a grid with grey lines between them', () => {
    const picture = drawChannels({ shape: SHAPE, values: VALUES }, { ...ALL, range: 'layer' });
    expect(picture).toMatchObject({ width: 5, height: 5, columns: 2, min: -4, max: 4 });
    const line = [128, 128, 128, 128, 128];
    expect([...picture.pixels]).toEqual(
      [
        [159, 191, 128, 128, 128],
        [223, 255, 128, 128, 128],
        line,
        [0, 128, 128, 128, 128],
        [128, 255, 128, 128, 128],
      ].flat(),
    );
  });

  test('stretches each channel over black to white on request; a flat one is black', () => {
    const picture = drawChannels({ shape: SHAPE, values: VALUES }, { ...ALL, range: 'channel' });
    expect([...picture.pixels.subarray(0, 10)]).toEqual([0, 85, 128, 0, 0, 170, 255, 128, 0, 0]);
  });

  test('draws features as one strip of about 512 pixels', () => {
    const picture = drawChannels({ shape: [3], values: Float32Array.of(0, 1, 2) }, { ...ALL, range: 'layer' });
    expect(picture).toMatchObject({ width: 510, height: 32, columns: 3 });
    expect([0, 169, 170, 339, 340, 509].map((x) => picture.pixels[x])).toEqual([0, 0, 128, 128, 255, 255]);
    const channels = Array.from({ length: 1000 }, (_, channel) => channel);
    const many = { shape: [1000], values: new Float32Array(1000) };
    expect(drawChannels(many, { channels, range: 'layer', scale: 1 }).width).toBe(1000);
  });

  test('draws some channels in their order, still between the extremes of the whole layer', () => {
    const picture = drawChannels({ shape: SHAPE, values: VALUES }, { channels: [2, 0], range: 'layer', scale: 1 });
    expect(picture).toMatchObject({ width: 5, height: 2, columns: 2, min: -4, max: 4 });
    expect([...picture.pixels]).toEqual(
      [
        [0, 128, 128, 159, 191],
        [128, 255, 128, 223, 255],
      ].flat(),
    );
  });

  test('repeats each value along both sides on request', () => {
    const picture = drawChannels({ shape: SHAPE, values: VALUES }, { channels: [0], range: 'channel', scale: 3 });
    expect(picture).toMatchObject({ width: 6, height: 6 });
    const rows = [
      [0, 0, 0, 85, 85, 85],
      [170, 170, 170, 255, 255, 255],
    ];
    expect([...picture.pixels]).toEqual([0, 0, 0, 1, 1, 1].flatMap((row) => rows[row] ?? []));
  });

  test('refuses a picture that would be too large', () => {
    const layer = { shape: [32, 32, 64], values: new Float32Array(65_536) };
    const channels = Array.from({ length: 64 }, (_, channel) => channel);
    expect(() => drawChannels(layer, { channels, range: 'layer', scale: 8 })).toThrow(
      'the picture would have 2055 x 2055 pixels at scale=8',
    );
    expect(drawChannels(layer, { channels, range: 'layer', scale: 7 }).width).toBe(1799);
  });
});
