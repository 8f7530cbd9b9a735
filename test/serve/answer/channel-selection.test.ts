import { describe, expect, test } from 'vitest';
import { CHANNELS_PATTERN, formatChannels, selectChannels } from '../../../serve/answer/channel-selection.ts';

/** One by two places, four channels with mean absolute values 1, 4, 4 and 0.5. */
const LAYER = { shape: [1, 2, 4], values: Float32Array.from([1, -4, 3, 0, -1, 4, 5, 1]) };

describe('selectChannels', () => {
  test.each([
    [undefined, undefined, [0, 1, 2, 3]],
    ['2', undefined, [2]],
    ['3,0-1', undefined, [3, 0, 1]],
    // Strongest first, by the mean of absolute values; equals in their order.
    [undefined, 3, [1, 2, 0]],
    ['3,0', 1, [0]],
    ['2,1', 1, [2]],
  ])('channels=%s, top=%s gives %j', (channels, top, expected) => {
    expect(selectChannels(LAYER, { channels, top })).toEqual(expected);
  });

  test('takes features for channels', () => {
    const layer = { shape: [3], values: Float32Array.of(0.5, -2, 1) };
    expect(selectChannels(layer, { channels: undefined, top: 2 })).toEqual([1, 2]);
  });

  test.each([
    ['4', undefined, /"4"; the layer has the channels 0 to 3/],
    ['2-9', undefined, /"2-9"/],
    ['3-1', undefined, /"3-1"/],
    ['0-2,1', undefined, /1 twice/],
    ['0,1', 3, /top is 3; there are 2 channels/],
  ])('refuses channels=%s, top=%s', (channels, top, says) => {
    expect(() => selectChannels(LAYER, { channels, top })).toThrow(says);
  });
});

test('the query takes numbers and ranges only', () => {
  for (const good of ['0', '3,5,8-12']) expect(good).toMatch(CHANNELS_PATTERN);
  for (const bad of ['', 'a', '1,', '-1', '1-', '1--2', '1 ,2', '1-2-3']) expect(bad).not.toMatch(CHANNELS_PATTERN);
});

test('channels are written as the query takes them', () => {
  expect(formatChannels([3, 5, 8, 9, 10, 2, 1])).toBe('3,5,8-10,2,1');
});
