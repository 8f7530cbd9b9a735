import { expect, describe, it } from 'vitest';
import { spreadGroups } from '../../../../train/engine/webgpu/command-queue.ts';

describe('spreadGroups', () => {
  it.each([
    [1, [1, 1]],
    [65_535, [65_535, 1]],
    [65_536, [32_768, 2]],
    [200_001, [50_001, 4]],
    [65_535 ** 2, [65_535, 65_535]],
  ])('puts %d workgroups into a grid that no device refuses', (count, grid) => {
    expect(spreadGroups(count, 65_535)).toEqual(grid);
  });

  it('refuses more than a grid has', () => {
    expect(() => spreadGroups(65_535 ** 2 + 1, 65_535)).toThrow('do not fit');
  });
});
