/** The parts of a report as HTML; each takes what it shows, and is empty or says why when the run does not have it. */
import type { Metrics } from '../../shared/manifest.ts';
import { describeClasses, measureRiskCoverage, MetricsAccumulator } from '../../shared/metrics.ts';
import type { ReliabilityBin } from '../../shared/metrics.ts';
import { argMax, softmax } from '../../shared/classification.ts';
import { formatCount, formatInterval, formatPercent, formatShare } from '../number-text.ts';
import { formatDuration } from '../progress-bar.ts';
import { drawCharts, escapeMarkup, spaceEvenly } from './chart.ts';
import type { Axis, Chart } from './chart.ts';
import { chartCurves } from './curves.ts';
import type { RunRecord } from './read-run.ts';
import type { TestAnswers } from './test-answers.ts';
import type { TimeSplit } from './time-split.ts';

/** Points of a drawn curve: more cannot be told apart. */
const DRAWN_POINTS = 200;
/** At most this much of the accent colour behind a number, so that it stays legible; by the root, so that rare mistakes show. */
const DARKEST_PERCENT = 45;

export function renderCurves(run: Pick<RunRecord, 'steps' | 'epochs' | 'average'>): string {
  const last = run.epochs.at(-1);
  const words =
    last === undefined
      ? 'No epoch is finished yet.'
      : `After epoch ${last.epoch}: training loss ${last.training.loss.toFixed(4)}, accuracy ${formatPercent(last.training.accuracy)}${last.validation === null ? '' : `; validation loss ${last.validation.loss.toFixed(4)}, accuracy ${formatPercent(last.validation.accuracy)}, n = ${formatCount(last.validation.n)}`}.`;
  const averaged =
    run.average === undefined
      ? ''
      : ` The finished network is the average of the last parameters: validation accuracy ${formatPercent(run.average.validation.accuracy)}.`;
  return section(
    'Curves',
    `<p>${words}${averaged} The training figures are of augmented images, as the network saw them, with label smoothing in the loss where the configuration has it; where easy images are left out, the others stand for them.</p>
${renderCharts(chartCurves(run))}`,
  );
}

export function renderTest(metrics: Metrics): string {
  return section('Classes', `${renderClasses(metrics)}\n${renderConfusion(metrics)}`);
}

function renderClasses(metrics: Metrics): string {
  const rows = describeClasses(metrics).map(({ label, support, precision, recall, f1 }) => [
    label,
    formatCount(support),
    ...[precision, recall, f1].map(formatShare),
  ]);
  return renderTable({
    caption: 'Figures of each class on the test set, with Wilson intervals (95 %)',
    head: ['class', 'images', 'precision', 'recall', 'F1'],
    rows: rows.map((row) => row.map(escapeMarkup)),
  });
}

function renderConfusion({ classes, confusion }: Metrics): string {
  const labels = classes.map(({ label }) => escapeMarkup(label));
  const rows = confusion.map((row, index) => {
    const support = row.reduce((sum, count) => sum + count, 0);
    return [
      labels[index] ?? '',
      ...row.map((count) => ({ text: `${count}`, share: support === 0 ? 0 : count / support })),
    ];
  });
  const caption = 'Confusion matrix: a row for each true class, a column for each answer';
  return renderTable({ caption, head: ['true class', ...labels], rows });
}

export function renderCalibration({ answers, classNames, temperature }: TestAnswers, run: RunRecord): string {
  const measure = (at: number): { bins: ReliabilityBin[]; summary: Metrics } => {
    const metrics = new MetricsAccumulator({ classNames, temperature: at });
    metrics.addBatch(answers.logits, answers.labels);
    return { bins: metrics.reliability(), summary: metrics.summarize() };
  };
  const [raw, calibrated] = [measure(1), measure(temperature)];
  const { calibration } = run;
  const origin =
    calibration === undefined || calibration.temperature === null
      ? 'The run has no temperature: no validation images, or too few to tell one.'
      : `The temperature ${temperature.toFixed(3)} was fitted on ${formatCount(calibration.images)} validation images.`;
  const rows = [
    [
      'expected calibration error (15 bins)',
      raw.summary.expectedCalibrationError,
      calibrated.summary.expectedCalibrationError,
    ],
    ['cross-entropy (nats)', raw.summary.loss, calibrated.summary.loss],
  ] as const;
  const bins = calibrated.bins.flatMap(({ low, high, count, confidence, accuracy }) =>
    confidence === null
      ? []
      : [
          [
            `${low.toFixed(3)} to ${high.toFixed(3)}`,
            formatCount(count),
            formatPercent(confidence),
            formatShare(accuracy),
          ],
        ],
  );
  return section(
    'Calibration',
    `<p>${origin} It divides the logits and changes no answer. Measured on the test set:</p>
${renderTable({
  caption: 'Before and after the temperature',
  head: ['', 'before', 'after'],
  rows: rows.map(([name, before, after]) => [name, before.toFixed(4), after.toFixed(4)]),
})}
${renderCharts([chartReliability(raw.bins, calibrated.bins), chartRiskCoverage({ answers, temperature })])}
<details><summary>The bins after the temperature as numbers</summary>
${renderTable({ caption: 'Answers by their top probability', head: ['probability', 'answers', 'mean probability', 'right'], rows: bins })}
</details>`,
  );
}

function chartReliability(before: readonly ReliabilityBin[], after: readonly ReliabilityBin[]): Chart {
  const pointsOf = (bins: readonly ReliabilityBin[]): Chart['series'][number]['points'] =>
    bins.flatMap(({ confidence, accuracy }) =>
      confidence === null || accuracy === null ? [] : [{ x: confidence, y: accuracy.value }],
    );
  return {
    title: 'Reliability',
    x: axisOfShares('top probability'),
    y: axisOfShares('accuracy'),
    series: [
      {
        name: 'ideal',
        look: 'reference',
        points: [
          { x: 0, y: 0 },
          { x: 1, y: 1 },
        ],
      },
      { name: 'before', look: 'first', points: pointsOf(before) },
      { name: 'after', look: 'second', points: pointsOf(after) },
    ],
  };
}

function chartRiskCoverage({ answers, temperature }: Pick<TestAnswers, 'answers' | 'temperature'>): Chart {
  const { logits, labels } = answers;
  const classes = logits.length / labels.length;
  const rows = Array.from(labels, (_, index) => logits.subarray(index * classes, (index + 1) * classes));
  const confidences = rows.map((row) => Math.max(...softmax(row, temperature)));
  const { points } = measureRiskCoverage(
    confidences,
    rows.map((row, index) => argMax(row) === labels[index]),
  );
  const every = Math.ceil(points.length / DRAWN_POINTS);
  const drawn = points.filter((_, index) => index % every === 0 || index === points.length - 1);
  const high = Math.max(0.05, Math.ceil(20 * Math.max(...drawn.map(({ risk }) => risk))) / 20);
  return {
    title: 'Errors when only the surest are answered',
    x: axisOfShares('share of images answered'),
    y: {
      ...axisOfShares(''),
      high,
      ticks: spaceEvenly(0, high, 5),
      format: (value) => `${(100 * value).toFixed(0)} %`,
    },
    series: [{ name: 'errors', look: 'first', points: drawn.map(({ coverage, risk }) => ({ x: coverage, y: risk })) }],
  };
}

function axisOfShares(label: string): Axis {
  const format = (value: number): string => `${Math.round(100 * value)} %`;
  return { label, low: 0, high: 1, ticks: spaceEvenly(0, 1, 5), format };
}

export function renderMistakes({ mistakes }: TestAnswers): string {
  const items = mistakes.map(({ index, label, predicted, probability, labelProbability, png }) => {
    const [truth, answer] = [escapeMarkup(label), escapeMarkup(predicted)];
    return `<li><img src="data:image/png;base64,${png}" width="96" height="96" alt="Test image ${index}, labelled ${truth}">
<b>${answer}</b> ${formatPercent(probability)}<br>true: <b>${truth}</b> ${formatPercent(labelProbability)}<br><span class="quiet">test image ${index}</span></li>`;
  });
  const body =
    items.length === 0
      ? '<p>Every answer on the test set is right.</p>'
      : `<p>The ${items.length} wrong answers that the network is most sure of, with calibrated probabilities. Some may be errors of the labels.</p>
<ul class="mistakes">\n${items.join('\n')}\n</ul>`;
  return section('Worst mistakes', body);
}

export function renderTime(time: TimeSplit): string {
  const parts = [
    { name: time.waiting === null ? 'computation, and waiting for data' : 'computation', seconds: time.computation },
    ...(time.waiting === null ? [] : [{ name: 'waiting for data', seconds: time.waiting }]),
    { name: 'evaluation', seconds: time.evaluation },
    { name: 'checkpoints, and what the log does not tell', seconds: time.rest },
  ];
  const total = parts.reduce((sum, { seconds }) => sum + seconds, 0);
  if (total === 0) return section('Time', '<p>The log does not tell yet.</p>');
  const percent = (seconds: number): string => `${((100 * seconds) / total).toFixed(1)} %`;
  const bars = parts.map(
    ({ seconds }, index) => `<i class="k${index}" style="width:${percent(seconds).replace(' ', '')}"></i>`,
  );
  const rows = parts.map(({ name, seconds }, index) => [
    `<span class="swatch k${index}"></span>${name}`,
    formatDuration(1000 * seconds),
    percent(seconds),
  ]);
  return section(
    'Time',
    `<p>${formatDuration(1000 * time.wall)} in all.</p>
<div class="bar" aria-hidden="true">${bars.join('')}</div>
${renderTable({ caption: 'Where the time went (h:mm:ss or m:ss)', head: ['part', 'time', 'share'], rows })}`,
  );
}

/** Names and facts, all as plain text. */
export function renderFacts(facts: Readonly<Record<string, string>>): string {
  const rows = Object.entries(facts).map(
    ([name, fact]) => `<tr><th scope="row">${escapeMarkup(name)}</th><td>${escapeMarkup(fact)}</td></tr>`,
  );
  return `<table class="facts"><tbody>\n${rows.join('\n')}\n</tbody></table>`;
}

export function formatAccuracy({ accuracy, accuracyInterval, n }: Metrics): string {
  return `${formatPercent(accuracy)} (95 %: ${formatInterval(accuracyInterval)}, n = ${formatCount(n)})`;
}

export function section(title: string, body: string): string {
  return `<section>\n<h2>${escapeMarkup(title)}</h2>\n${body}\n</section>`;
}

function renderCharts(charts: readonly Chart[]): string {
  const figures = charts.map((chart) => {
    const words = `${chart.title}: ${chart.series.map(({ name }) => name).join(', ')}`;
    return `<figure>${drawCharts([chart], words)}</figure>`;
  });
  return `<div class="charts">\n${figures.join('\n')}\n</div>`;
}

/** Cells are markup; one with a share gets that much colour behind it. The first of a row names the row. */
type Cell = string | { text: string; share: number };

function renderTable({
  caption,
  head,
  rows,
}: {
  caption: string;
  head: string[];
  rows: readonly (readonly Cell[])[];
}): string {
  const cells = rows.map((row) => `<tr>${row.map(renderCell).join('')}</tr>`);
  const names = head.map((name) => (name === '' ? '<td></td>' : `<th scope="col">${name}</th>`));
  // Wider than a phone: scrolls by itself, with the keyboard too.
  return `<div class="wide" tabindex="0" role="region" aria-label="${caption}"><table><caption>${caption}</caption>
<thead><tr>${names.join('')}</tr></thead>
<tbody>\n${cells.join('\n')}\n</tbody></table></div>`;
}

function renderCell(cell: Cell, column: number): string {
  if (typeof cell === 'string') return column === 0 ? `<th scope="row">${cell}</th>` : `<td>${cell}</td>`;
  const percent = (DARKEST_PERCENT * Math.sqrt(cell.share)).toFixed(1);
  return `<td style="background:color-mix(in srgb,var(--accent) ${percent}%,transparent)">${cell.text}</td>`;
}
