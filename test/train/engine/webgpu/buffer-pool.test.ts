import { describe, expect, it } from 'vitest';
import { roundToSizeClass } from '../../../../train/engine/webgpu/buffer-pool.ts';

describe('roundToSizeClass', () => {
  it('has four classes between powers of two and none below 256 bytes', () => {
    const sizes = Array.from({ length: 1026 }, (_, size) => roundToSizeClass(size));
    expect([...new Set(sizes)]).toEqual([256, 320, 384, 448, 512, 640, 768, 896, 1024, 1280]);
  });

  it('never gives less than asked for, nor more than a quarter above it, and gives its own classes back', () => {
    for (let size = 257; size < 1e9; size = Math.floor(size * 1.37) + 1) {
      const rounded = roundToSizeClass(size);
      expect(rounded).toBeGreaterThanOrEqual(size);
      expect(rounded / size).toBeLessThanOrEqual(1.25);
      expect(rounded % 64).toBe(0);
      expect(roundToSizeClass(rounded)).toBe(rounded);
    }
  });
});
