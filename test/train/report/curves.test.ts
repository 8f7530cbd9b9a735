import { describe, expect, it } from 'vitest';
import { chartCurves, drawCurves as drawRun } from '../../../train/report/curves.ts';
import { orderEvents } from '../../../train/report/read-run.ts';
import type { LoggedEvent } from '../../../train/run-log.ts';

const time = '2026-01-01T00:00:00.000Z';

function steps(step: number, loss: number, accuracy: number): LoggedEvent {
  return { time, event: 'steps', step, loss, accuracy, learningRate: step / 100, images: 5 };
}

function epoch(number: number, step: number, accuracy: number): LoggedEvent {
  const figures = { learningRate: 0.1, training: { loss: 1, accuracy }, durationSeconds: 1, imagesPerSecond: 5 };
  return { time, event: 'epoch', epoch: number, step, ...figures, validation: { n: 10, accuracy, loss: 1 } };
}

function drawCurves(events: readonly LoggedEvent[]): string {
  return drawRun(orderEvents(events));
}

/** The points of each line of one class, as [x, y] in the picture. */
function linesOf(svg: string, name: string): [number, number][][] {
  return [...svg.matchAll(new RegExp(`<polyline class="${name}" points="([^"]*)"`, 'g'))].map(([, points = '']) =>
    points
      .split(' ')
      .filter((point) => point !== '')
      .map((point) => {
        const [x = Number.NaN, y = Number.NaN] = point.split(',').map(Number);
        return [x, y];
      }),
  );
}

describe('drawCurves', () => {
  const svg = drawCurves([
    steps(5, 2, 0.2),
    steps(10, 1, 0.5),
    epoch(1, 10, 0.25),
    steps(20, 0.5, 1),
    epoch(2, 20, 0.75),
  ]);

  it('draws loss and accuracy with one point for each record', () => {
    expect(linesOf(svg, 'first').map((line) => line.length)).toEqual([3, 3]);
    expect(linesOf(svg, 'second').map((line) => line.length)).toEqual([2, 2]);
  });

  it('puts the last epoch at the right edge, and an accuracy of 1 at the top', () => {
    const [[, last = [0, 0]] = []] = linesOf(svg, 'second');
    const [, accuracies = []] = linesOf(svg, 'first');
    expect(last[0]).toBe(400);
    expect(accuracies.at(-1)).toEqual([400, 34]);
    // 5 of 20 steps are half of the first of two epochs: a quarter of the 348 pixels from 52 on.
    expect(accuracies[0]?.[0]).toBeCloseTo(52 + 348 / 4, 1);
  });

  it('counts the last record of a step that was done twice', () => {
    const again = drawCurves([steps(5, 2, 0.2), steps(5, 1, 1), epoch(1, 5, 0.5)]);
    expect(linesOf(again, 'first')[1]).toEqual([[400, 34]]);
  });

  it('knows that epochs differ in length, and takes the one that goes on to be as long as the last', () => {
    const events = [epoch(1, 10, 0.5), steps(12, 1, 0.5), steps(14, 1, 0.5), epoch(2, 14, 0.5), steps(15, 1, 0.5)];
    const [loss] = chartCurves(orderEvents(events));
    expect(loss.series[0]?.points.map(({ x }) => x)).toEqual([1.5, 2, 2.25]);
  });

  it('draws a log without a finished epoch', () => {
    expect(linesOf(drawCurves([steps(5, 2, 0.2)]), 'first')[0]).toHaveLength(1);
  });

  it('has the learning rate of each record, with an axis up to the highest', () => {
    const [, , rate] = chartCurves(orderEvents([steps(5, 2, 0.2), steps(10, 1, 0.5), epoch(1, 10, 0.5)]));
    expect(rate.series[0]?.points).toEqual([
      { x: 0.5, y: 0.05 },
      { x: 1, y: 0.1 },
    ]);
    expect(rate.y.ticks.map(rate.y.format)).toEqual(['0', '0.02', '0.04', '0.06', '0.08', '0.1']);
  });
});
