/** The orientation in EXIF data, and what becomes of data that are none. Whole files are in test/contract/image.ts. */
import { describe, expect, test } from 'vitest';

import { readExifOrientation } from '../../../shared/image/exif.ts';

interface Entry {
  tag: number;
  type: number;
  value: number;
  /** How many values; default: 1. */
  count?: number;
}

/** A TIFF directory at byte 8 with the given entries, each holding its value in the first two bytes. */
function makeTiff(entries: readonly Entry[], { isLittleEndian = false } = {}): Uint8Array {
  const bytes = new Uint8Array(8 + 2 + entries.length * 12 + 4);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, isLittleEndian ? 0x4949 : 0x4d4d);
  view.setUint16(2, 42, isLittleEndian);
  view.setUint32(4, 8, isLittleEndian);
  view.setUint16(8, entries.length, isLittleEndian);
  for (const [index, { tag, type, value, count = 1 }] of entries.entries()) {
    view.setUint16(10 + index * 12, tag, isLittleEndian);
    view.setUint16(12 + index * 12, type, isLittleEndian);
    view.setUint32(14 + index * 12, count, isLittleEndian);
    view.setUint16(18 + index * 12, value, isLittleEndian);
  }
  return bytes;
}

const make = { tag: 0x010f, type: 2, value: 0x4100 };
const turned = { tag: 0x0112, type: 3, value: 6 };

describe('readExifOrientation', () => {
  test('finds the orientation in both byte orders, with and without the prefix', () => {
    for (const isLittleEndian of [false, true]) {
      const tiff = makeTiff([make, turned], { isLittleEndian });
      expect(readExifOrientation(tiff)).toBe(6);
      expect(readExifOrientation(Uint8Array.from([...new TextEncoder().encode('Exif\0\0'), ...tiff]))).toBe(6);
    }
  });

  test.each([
    { name: 'no data', data: new Uint8Array(0) },
    { name: 'no orientation', data: makeTiff([make]) },
    { name: 'orientation 0', data: makeTiff([{ ...turned, value: 0 }]) },
    { name: 'orientation 9', data: makeTiff([{ ...turned, value: 9 }]) },
    { name: 'an orientation that is no short', data: makeTiff([{ ...turned, type: 4 }]) },
    { name: 'two orientations in one', data: makeTiff([{ ...turned, count: 2 }]) },
    { name: 'a cut directory', data: makeTiff([make, turned]).subarray(0, 30) },
    { name: 'a directory outside the data', data: makeTiff([turned]).fill(0xff, 4, 8) },
    { name: 'an unknown byte order', data: makeTiff([turned]).fill(0x41, 0, 2) },
    { name: 'another magic number', data: makeTiff([turned]).fill(0, 2, 4) },
  ])('takes $name as upright', ({ data }) => {
    expect(readExifOrientation(data)).toBe(1);
  });
});
