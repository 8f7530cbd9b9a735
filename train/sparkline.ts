/** A curve in one line of text, for the terminal. */

const BARS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/** Longer curves lose their beginning. */
const DEFAULT_WIDTH = 24;

/** One bar for each of the last `width` values; the smallest of them is the lowest bar, the largest the highest. */
export function drawSparkline(values: readonly number[], width = DEFAULT_WIDTH): string {
  const shown = values.filter(Number.isFinite).slice(-width);
  const [smallest, largest] = [Math.min(...shown), Math.max(...shown)];
  const span = largest - smallest;
  return shown
    .map((value) => BARS[span === 0 ? 0 : Math.round(((value - smallest) / span) * (BARS.length - 1))])
    .join('');
}
