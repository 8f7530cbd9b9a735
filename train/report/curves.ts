/** The curves of a run over its epochs: loss, accuracy and learning rate. */
import { CHART_STYLE, drawCharts, spaceEvenly } from './chart.ts';
import type { Axis, Chart, Point } from './chart.ts';
import type { EpochFigures, RunRecord, StepsRecord } from './read-run.ts';

type Curves = Pick<RunRecord, 'steps' | 'epochs'>;

/** Loss and accuracy as one SVG file, legible on light and dark pages. */
export function drawCurves(run: Curves): string {
  const [loss, accuracy] = chartCurves(run);
  return drawCharts([loss, accuracy], 'Loss and accuracy of the run over its epochs', CHART_STYLE);
}

/** The charts of a run, also of one that goes on. */
export function chartCurves({ steps, epochs }: Curves): [loss: Chart, accuracy: Chart, learningRate: Chart] {
  const placeOf = placeSteps({ steps, epochs });
  const ofSteps = (pick: (record: StepsRecord) => number): Point[] =>
    steps.map((record) => ({ x: placeOf(record.step), y: pick(record) }));
  const ofEpochs = (pick: (figures: NonNullable<EpochFigures['validation']>) => number): Point[] =>
    epochs.flatMap(({ epoch, validation }) => (validation ? [{ x: epoch, y: pick(validation) }] : []));

  const training = { loss: ofSteps(({ loss }) => loss), accuracy: ofSteps(({ accuracy }) => accuracy) };
  const validation = { loss: ofEpochs(({ loss }) => loss), accuracy: ofEpochs(({ accuracy }) => accuracy) };
  const rates = ofSteps(({ learningRate }) => learningRate);
  const x = axisOfEpochs([...training.loss, ...validation.loss]);
  const highestLoss = Math.ceil(2 * Math.max(0.5, ...[...training.loss, ...validation.loss].map(({ y }) => y))) / 2;
  const highestRate = Math.max(...rates.map(({ y }) => y), Number.MIN_VALUE);
  const compare = (figure: 'loss' | 'accuracy'): Chart['series'] => [
    { name: 'training', look: 'first', points: training[figure] },
    { name: 'validation', look: 'second', points: validation[figure] },
  ];
  return [
    { title: 'Loss (nats)', x, y: axisOf(highestLoss, (value) => value.toFixed(1)), series: compare('loss') },
    { title: 'Accuracy', x, y: axisOf(1, (value) => `${Math.round(100 * value)} %`), series: compare('accuracy') },
    {
      title: 'Learning rate',
      x,
      y: axisOf(highestRate, (value) => `${Number(value.toPrecision(2))}`),
      series: [{ name: 'learning rate', look: 'first', points: rates }],
    },
  ];
}

/** The epochs that are done behind a step. Epochs that leave images out have fewer steps than others. */
function placeSteps({ steps, epochs }: Curves): (step: number) => number {
  const ends = [{ epoch: 0, step: 0 }, ...epochs];
  const [last, former] = [ends.at(-1), ends.at(-2)];
  // An epoch that goes on is taken to be as long as the one before it; the first one, to end with what is known.
  const length = last && former ? last.step - former.step : Math.max(1, ...steps.map(({ step }) => step));
  return (step) => {
    const next = ends.findIndex((end) => end.step >= step);
    const [before, end] = [ends[next - 1], ends[next]];
    if (end === undefined) return (last?.epoch ?? 0) + (step - (last?.step ?? 0)) / length;
    if (before === undefined) return end.epoch;
    return before.epoch + ((end.epoch - before.epoch) * (step - before.step)) / (end.step - before.step);
  };
}

function axisOfEpochs(points: readonly Point[]): Axis {
  const high = Math.max(1, ...points.map(({ x }) => x));
  const between = Math.max(1, Math.round(high / 8));
  const ticks = Array.from({ length: Math.floor(high / between) + 1 }, (_, index) => index * between);
  return { label: 'epoch', low: 0, high, ticks, format: String };
}

function axisOf(high: number, format: (value: number) => string): Axis {
  return { label: '', low: 0, high, ticks: spaceEvenly(0, high, 5), format };
}
