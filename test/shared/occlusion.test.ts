import { describe, expect, it } from 'vitest';
import { averagePatches, correlateRanks, hidePatch, placePatches, spreadPatches } from '../../shared/occlusion.ts';

const SIZE = { height: 3, width: 4 };

describe('placePatches', () => {
  it('goes row by row and ends at the edge, whatever the stride', () => {
    expect(placePatches(SIZE, { size: 2, stride: 2 })).toEqual(
      [0, 1].flatMap((top) => [0, 2].map((left) => ({ top, left, size: 2 }))),
    );
    expect(placePatches({ height: 8, width: 8 }, { size: 3, stride: 3 }).map(({ left }) => left)).toEqual([
      0, 3, 5, 0, 3, 5, 0, 3, 5,
    ]);
    expect(placePatches({ height: 32, width: 32 }, { size: 8, stride: 4 }).length).toBe(49);
  });

  it('is one patch where it is as large as the picture', () => {
    expect(placePatches({ height: 5, width: 5 }, { size: 5, stride: 1 })).toEqual([{ top: 0, left: 0, size: 5 }]);
  });
});

describe('hidePatch', () => {
  it('fills the patch and nothing else, in a copy', () => {
    const pixels = Uint8Array.from({ length: 12 }, (_, index) => index);
    const hidden = hidePatch(pixels, { width: 3, patch: { top: 0, left: 1, size: 1 }, fill: [100, 200] });
    expect([...hidden]).toEqual([0, 1, 100, 200, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(pixels[2]).toBe(2);
  });
});

describe('the two ways between maps and patches', () => {
  const patches = placePatches(SIZE, { size: 2, stride: 1 });

  it('average the map over each patch', () => {
    const map = Float64Array.from({ length: 12 }, (_, index) => index);
    expect([...averagePatches(map, SIZE, patches)]).toEqual([2.5, 3.5, 4.5, 6.5, 7.5, 8.5]);
  });

  it('give each pixel the mean of the patches that cover it', () => {
    const spread = spreadPatches([1, 2, 3, 4, 5, 6], SIZE, patches);
    expect([...spread]).toEqual([1, 1.5, 2.5, 3, 2.5, 3, 4, 4.5, 4, 4.5, 5.5, 6]);
  });
});

describe('correlateRanks', () => {
  it.each([
    ['the same order', [1, 2, 3], [10, 100, 1000], 1],
    ['the opposite order', [1, 2, 3], [3, 2, -1], -1],
    // d = (0, 1, -1, 0): 1 - 6 * 2 / (4 * 15)
    ['two changed places', [1, 2, 3, 4], [1, 3, 2, 4], 0.8],
    // Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: 4.5 / sqrt(4.5 * 5)
    ['a tie', [1, 2, 2, 3], [1, 2, 3, 4], 4.5 / Math.sqrt(22.5)],
  ])('of %s', (_, first, second, expected) => {
    expect(correlateRanks(first, second)).toBeCloseTo(expected, 12);
  });

  it('is not there where one side is flat', () => {
    expect(correlateRanks([1, 1, 1], [1, 2, 3])).toBeNull();
  });
});
