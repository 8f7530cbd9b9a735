/** Line charts as SVG text: the one place where training draws. Colours follow the page, light or dark. */

export interface Point {
  x: number;
  y: number;
}

export interface Axis {
  label: string;
  low: number;
  high: number;
  /** Where there is a number, and for `y` a grid line. */
  ticks: readonly number[];
  format: (value: number) => string;
}

export interface Series {
  name: string;
  /** `first` is a full line, `second` dashed with dots, `reference` thin and grey. */
  look: 'first' | 'second' | 'reference';
  points: readonly Point[];
}

export interface Chart {
  title: string;
  x: Axis;
  y: Axis;
  /** What lies outside of the axes is drawn at their ends. */
  series: readonly Series[];
}

const CHART_SIZE = { width: 420, height: 240 };
const MARGIN = { left: 52, right: 20, top: 34, bottom: 38 };
const PLOT = {
  width: CHART_SIZE.width - MARGIN.left - MARGIN.right,
  height: CHART_SIZE.height - MARGIN.top - MARGIN.bottom,
};

/** For the SVG file or the page that holds charts. */
export const CHART_STYLE = `
svg text { font: 12px system-ui, sans-serif; fill: #444 }
svg .title { font-weight: 600; font-size: 13px }
svg .grid { stroke: #8884; stroke-width: 1 }
svg polyline { fill: none; stroke-width: 1.5 }
svg .first { stroke: #2b6cb0 }
svg .second { stroke: #b7500f; stroke-dasharray: 4 3 }
svg .reference { stroke: #888; stroke-width: 1 }
svg .dot { fill: #b7500f }
svg .key-first { fill: #2b6cb0 }
svg .key-second { fill: #b7500f }
svg .key-reference { fill: #666 }
@media (prefers-color-scheme: dark) {
  svg text { fill: #ccc }
  svg .first { stroke: #63b3ed } svg .key-first { fill: #63b3ed }
  svg .second { stroke: #f6ad55 } svg .dot, svg .key-second { fill: #f6ad55 }
  svg .key-reference { fill: #aaa }
}
`;

/** Charts side by side in one SVG element; `label` says in words what they show. */
export function drawCharts(charts: readonly Chart[], label: string, style = ''): string {
  const body = charts.map((chart, index) => drawChart(chart, index * CHART_SIZE.width)).join('\n');
  const width = charts.length * CHART_SIZE.width;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${CHART_SIZE.height}" role="img" aria-label="${escapeMarkup(label)}">
${style === '' ? '' : `<style>${style}</style>\n`}${body}
</svg>
`;
}

function drawChart({ title, x, y, series }: Chart, left: number): string {
  const toX = (value: number): string => (MARGIN.left + shareOf(x, value) * PLOT.width).toFixed(1);
  const toY = (value: number): string => (MARGIN.top + (1 - shareOf(y, value)) * PLOT.height).toFixed(1);
  const [right, bottom] = [MARGIN.left + PLOT.width, MARGIN.top + PLOT.height];
  const keys = series.map(({ look, name }) => `<tspan class="key-${look}" dx="10">${escapeMarkup(name)}</tspan>`);
  return [
    `<g transform="translate(${left} 0)">`,
    `<text class="title" x="${MARGIN.left}" y="18">${escapeMarkup(title)}</text>`,
    `<text x="${right}" y="18" text-anchor="end">${series.length > 1 ? keys.join('') : ''}</text>`,
    ...y.ticks.map(
      (value) =>
        `<line class="grid" x1="${MARGIN.left}" x2="${right}" y1="${toY(value)}" y2="${toY(value)}"/>` +
        `<text x="${MARGIN.left - 6}" y="${Number(toY(value)) + 4}" text-anchor="end">${y.format(value)}</text>`,
    ),
    ...x.ticks.map(
      (value) => `<text x="${toX(value)}" y="${bottom + 16}" text-anchor="middle">${x.format(value)}</text>`,
    ),
    `<text x="${MARGIN.left + PLOT.width / 2}" y="${bottom + 32}" text-anchor="middle">${escapeMarkup(x.label)}</text>`,
    ...series.map(
      ({ look, points }) =>
        `<polyline class="${look}" points="${points.map((point) => `${toX(point.x)},${toY(point.y)}`).join(' ')}"/>`,
    ),
    ...series
      .filter(({ look }) => look === 'second')
      .flatMap(({ points }) => points)
      .map((point) => `<circle class="dot" cx="${toX(point.x)}" cy="${toY(point.y)}" r="2.5"/>`),
    '</g>',
  ].join('\n');
}

function shareOf({ low, high }: Axis, value: number): number {
  return Math.min(1, Math.max(0, (value - low) / (high - low)));
}

/** `count` + 1 numbers from `low` to `high`. */
export function spaceEvenly(low: number, high: number, count: number): number[] {
  return Array.from({ length: count + 1 }, (_, index) => low + ((high - low) * index) / count);
}

/** Text for HTML and SVG, also inside an attribute. */
export function escapeMarkup(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
