import { expect, it } from 'vitest';
import { drawSparkline } from '../../train/sparkline.ts';

it('draws each value as a bar between the smallest and the largest', () => {
  expect(drawSparkline([0, 1, 2, 3, 4, 5, 6, 7])).toBe('▁▂▃▄▅▆▇█');
  expect(drawSparkline([0.5, 1, 0.75])).toBe('▁█▅');
});

it('draws values that are all alike as the lowest bar, and nothing as nothing', () => {
  expect(drawSparkline([0.8])).toBe('▁');
  expect(drawSparkline([3, 3, 3])).toBe('▁▁▁');
  expect(drawSparkline([])).toBe('');
});

it('keeps the end of a long curve, and scales by what it shows', () => {
  expect(drawSparkline([100, 0, 1, 2], 3)).toBe('▁▅█');
});

it('leaves out what is not finite', () => {
  expect(drawSparkline([0, Number.NaN, 1, Number.POSITIVE_INFINITY])).toBe('▁█');
});
