import { describe, expect, it } from 'vitest';
import { EvaluationMeter } from '../../shared/evaluation-meter.ts';
import { reportComparison, reportMeasurement, reportRobustness } from '../../shared/evaluation-report.ts';
import { decodeAnswers, encodeAnswers } from '../../shared/test-answers.ts';
import type { TestAnswers } from '../../shared/test-answers.ts';

const CLASSES = ['cat', 'dog', 'frog'];

/** Two models by what each has right: [both, only the first, only the second, neither], all images of one class. */
function pair([both, first, second, neither]: readonly [number, number, number, number]): [TestAnswers, TestAnswers] {
  const right = (...counts: readonly [number, number][]): TestAnswers => {
    const predicted = counts.flatMap(([answer, count]) => Array.from({ length: count }, () => answer));
    return {
      labels: new Uint8Array(predicted.length),
      predicted: Uint8Array.from(predicted),
      confidence: new Float32Array(predicted.length).fill(0.5),
    };
  };
  return [
    right([0, both], [0, first], [1, second], [1, neither]),
    right([0, both], [1, first], [0, second], [2, neither]),
  ];
}

describe('the comparison of two models', () => {
  // Golden values of the exact binomial test in double precision.
  it.each([
    { only: [11, 1], p: 0.0063477 },
    { only: [25, 15], p: 0.1538599 },
    { only: [300, 250], p: 0.0365787 },
    { only: [320, 260], p: 0.0142219 },
    { only: [0, 5], p: 0.0625 },
    { only: [0, 6], p: 0.03125 },
    { only: [7, 7], p: 1 },
    { only: [0, 0], p: 1 },
  ])('has the exact McNemar p of $only', ({ only: [first = 0, second = 0], p }) => {
    const report = reportComparison(...pair([400, first, second, 30]), CLASSES);
    expect(report.p).toBeCloseTo(p, 6);
    expect(report.onlyFirstRight.length).toBe(first);
    expect(report.onlySecondRight.length).toBe(second);
    expect(report.change).toBeCloseTo((second - first) / report.n, 12);
  });

  it('names the images that flip, and counts agreement also where both are wrong', () => {
    const first = { labels: [0, 0, 1, 1, 2, 2], predicted: [0, 1, 1, 0, 0, 1] };
    const second = { labels: [0, 0, 1, 1, 2, 2], predicted: [0, 0, 2, 0, 2, 0] };
    const answersOf = ({ labels, predicted }: typeof first): TestAnswers => ({
      labels: Uint8Array.from(labels),
      predicted: Uint8Array.from(predicted),
      confidence: new Float32Array(6),
    });
    const report = reportComparison(answersOf(first), answersOf(second), CLASSES);
    expect(report).toMatchObject({
      n: 6,
      bothRight: 1,
      bothWrong: 2,
      onlyFirstRight: [2],
      onlySecondRight: [1, 4],
      first: { value: 2 / 6 },
      second: { value: 3 / 6 },
      agreement: { value: 2 / 6 },
    });
    expect(
      report.classes.map(({ label, first: before, second: after }) => [label, before?.value, after?.value]),
    ).toEqual([
      ['cat', 0.5, 1],
      ['dog', 0.5, 0],
      ['frog', 0, 0.5],
    ]);
  });

  it('is refused for different images', () => {
    const [first] = pair([3, 0, 0, 0]);
    const other = { ...first, labels: Uint8Array.from([0, 1, 0]) };
    expect(() => reportComparison(first, other, CLASSES)).toThrow('internal');
  });
});

describe('the report of one model', () => {
  const meter = new EvaluationMeter({ classNames: CLASSES, temperature: 2 });
  // Logits whose softmax is known: ln 8 against 0 and 0 is 0.8; at temperature 2, sqrt(8) / (sqrt(8) + 2).
  const sure = Math.log(8);
  meter.add([sure, 0, 0], 0);
  meter.add([0, sure, 0], 0);
  meter.add([0, 0, sure], 2);
  meter.add([Math.log(2), 0, 0], 1);

  it('has calibration before and after the temperature', () => {
    const { calibration, metrics } = meter.summarize();
    expect(meter.n).toBe(4);
    expect(meter.correct).toBe(2);
    expect(calibration.temperature).toBe(2);
    // Three answers of 0.8, of which two are right, and one of 0.5, which is wrong.
    expect(calibration.before.expectedCalibrationError).toBeCloseTo((3 * (0.8 - 2 / 3) + 0.5) / 4, 12);
    const calm = Math.sqrt(8) / (Math.sqrt(8) + 2);
    const calmer = Math.SQRT2 / (Math.SQRT2 + 2);
    expect(calibration.after.expectedCalibrationError).toBeCloseTo((3 * (2 / 3 - calm) + calmer) / 4, 12);
    expect(calibration.after.expectedCalibrationError).toBe(metrics.expectedCalibrationError);
    expect(calibration.before.bins.map(({ count }) => count).filter(Boolean)).toEqual([1, 3]);
  });

  it('survives its compact form', () => {
    const { answers } = meter.summarize();
    expect(decodeAnswers(encodeAnswers(answers), { images: 4, classes: 3 })).toEqual(answers);
    for (const wrong of [
      { images: 5, classes: 3 },
      { images: 4, classes: 2 },
    ]) {
      expect(() => decodeAnswers(encodeAnswers(answers), wrong)).toThrow('npm run model -- evaluate');
    }
  });

  it('lists the mistakes by cell and the risk over the coverage', () => {
    const report = reportMeasurement(meter.summarize());
    expect(report.mistakes).toEqual([
      { label: 'cat', predicted: 'dog', indices: [1] },
      { label: 'dog', predicted: 'cat', indices: [3] },
    ]);
    expect(report.riskCoverage?.points.map(({ coverage, risk }) => [coverage, risk])).toEqual([
      [0.75, 1 / 3],
      [1, 0.5],
    ]);
  });

  it('draws a long curve with one point for each percent, the last one complete', () => {
    const long = new EvaluationMeter({ classNames: CLASSES, temperature: 1 });
    for (let index = 0; index < 1000; index++) long.add([index / 100, 0, 0], index % 4 === 0 ? 1 : 0);
    const points = reportMeasurement(long.summarize()).riskCoverage?.points ?? [];
    expect(points.length).toBe(100);
    expect(points[0]?.coverage).toBe(0.01);
    expect(points.at(-1)).toMatchObject({ coverage: 1, risk: 0.25 });
  });

  it('says nothing of what an older record lacks', () => {
    const { metrics } = meter.summarize();
    const report = reportMeasurement({ metrics, calibration: undefined, answers: undefined });
    expect(report).toMatchObject({ n: 4, calibration: null, riskCoverage: null, mistakes: null });
  });
});

it('robustness is told with n, intervals and the mean over all corruptions', () => {
  const report = reportRobustness({
    createdAt: '',
    command: '',
    definition: 'ours',
    seed: 1,
    images: 1000,
    correct: 950,
    corruptions: [
      { name: 'noise', severity: 1, correct: 900 },
      { name: 'noise', severity: 2, correct: 700 },
    ],
  });
  expect(report.mean).toBeCloseTo(0.8, 12);
  expect(report.clean.interval[0]).toBeCloseTo(0.9346862, 6);
  expect(report.corruptions[1]).toMatchObject({ name: 'noise', severity: 2, accuracy: { value: 0.7 } });
});
