import { describe, expect, it } from 'vitest';
import { metricsSchema } from '../../shared/manifest.ts';
import {
  comparePaired,
  describeClasses,
  mcnemarExact,
  measureRiskCoverage,
  MetricsAccumulator,
  wilsonInterval,
} from '../../shared/metrics.ts';

describe('wilsonInterval', () => {
  // Computed in double precision from Wilson 1927.
  it.each([
    [9500, 10_000, 0.9455529, 0.9541015],
    [9300, 10_000, 0.9248323, 0.9348374],
    [950, 1000, 0.9346862, 0.9618697],
    [10, 10, 0.7224672, 1],
  ])('of %i in %i is [%f, %f]', (successes, trials, low, high) => {
    const interval = wilsonInterval(successes, trials);
    expect(interval[0]).toBeCloseTo(low, 7);
    expect(interval[1]).toBeCloseTo(high, 7);
  });

  it('ends exactly at 0 and 1, and mirrors', () => {
    for (const trials of [1, 10, 123, 10_000]) {
      expect(wilsonInterval(trials, trials)[1]).toBe(1);
      expect(wilsonInterval(0, trials)[0]).toBe(0);
      expect(wilsonInterval(0, trials)[1]).toBeCloseTo(1 - wilsonInterval(trials, trials)[0], 12);
    }
  });

  it('refuses a share of nothing', () => {
    expect(() => wilsonInterval(0, 0)).toThrow('internal:');
  });
});

/** Logits of two classes whose softmax gives the first one exactly this probability. */
function logitsFor(probability: number): number[] {
  return [Math.log(probability / (1 - probability)), 0];
}

describe('MetricsAccumulator', () => {
  it('computes the calibration error of a hand-made set', () => {
    const metrics = new MetricsAccumulator({ classNames: ['a', 'b'] });
    // Bin [12/15, 13/15): 0.81 is right and 0.86 wrong. In bins of their own: 0.88 and 0.55, both right.
    metrics.add(logitsFor(0.81), 0);
    metrics.add(logitsFor(0.86), 1);
    metrics.add(logitsFor(0.88), 0);
    metrics.add(logitsFor(0.55), 0);
    const summary = metrics.summarize();
    expect(summary.expectedCalibrationError).toBeCloseTo((0.81 + 0.86 - 1 + (1 - 0.88) + (1 - 0.55)) / 4, 12);
    expect(summary.accuracy).toBe(0.75);
    expect(summary.loss).toBeCloseTo(-Math.log(0.81 * 0.14 * 0.88 * 0.55) / 4, 12);
  });

  it('finds no calibration error where confidence and accuracy agree, bin by bin', () => {
    const metrics = new MetricsAccumulator({ classNames: ['a', 'b'] });
    for (const label of [0, 0, 0, 1]) metrics.add(logitsFor(0.75), label);
    metrics.add([1000, 0], 0);
    expect(metrics.summarize().expectedCalibrationError).toBeCloseTo(0, 12);
  });

  it('counts a confusion matrix and the figures of each class', () => {
    const metrics = new MetricsAccumulator({ classNames: ['cat', 'dog', 'emu', 'yak'] });
    const predicted = [0, 0, 1, 1, 2, 0];
    const labels = [0, 0, 0, 1, 1, 1];
    const logits = predicted.flatMap((each) => [0, 1, 2, 3].map((index) => (index === each ? 2 : 0)));
    metrics.addBatch(Float32Array.from(logits), labels);

    const summary = metricsSchema.parse(metrics.summarize());
    expect(summary.confusion).toEqual([
      [2, 1, 0, 0],
      [1, 1, 1, 0],
      [0, 0, 0, 0],
      [0, 0, 0, 0],
    ]);
    expect([summary.n, summary.correct, summary.accuracy]).toEqual([6, 3, 0.5]);
    expect(summary.accuracyInterval).toEqual(wilsonInterval(3, 6));
    expect(summary.classes).toEqual([
      { label: 'cat', support: 3, precision: 2 / 3, recall: 2 / 3, f1: 2 / 3 },
      { label: 'dog', support: 3, precision: 1 / 2, recall: 1 / 3, f1: 2 / 5 },
      { label: 'emu', support: 0, precision: 0, recall: null, f1: 0 },
      { label: 'yak', support: 0, precision: null, recall: null, f1: null },
    ]);
  });

  it('starts at ln 10 for a network that knows nothing of ten classes', () => {
    const metrics = new MetricsAccumulator({ classNames: Array.from({ length: 10 }, (_, index) => `${index}`) });
    metrics.addBatch(new Float32Array(50), [0, 1, 2, 3, 9]);
    expect(metrics.summarize().loss).toBeCloseTo(Math.LN10, 12);
  });

  it('applies the temperature to loss and calibration, not to the answers', () => {
    const [cold, warm] = [1, 2].map((temperature) => {
      const metrics = new MetricsAccumulator({ classNames: ['a', 'b'], temperature });
      metrics.add([Math.log(16), 0], 0);
      return metrics.summarize();
    });
    expect(cold?.loss).toBeCloseTo(-Math.log(16 / 17), 12);
    expect(warm?.loss).toBeCloseTo(-Math.log(4 / 5), 12);
    expect(warm?.confusion).toEqual(cold?.confusion);
  });

  it('keeps the loss of a hopeless answer finite', () => {
    const metrics = new MetricsAccumulator({ classNames: ['a', 'b'] });
    metrics.add([-5000, 5000], 0);
    expect(metrics.summarize().loss).toBe(10_000);
  });

  it('refuses labels and logits that do not belong to the classes', () => {
    const metrics = new MetricsAccumulator({ classNames: ['a', 'b'] });
    expect(() => metrics.add([1, 0], 2)).toThrow('internal:');
    expect(() => metrics.add([0, 0, 1], 0)).toThrow('internal:');
  });
});

describe('describeClasses', () => {
  // Intervals computed with a separate program in double precision.
  it('gives precision, recall and F1 their intervals', () => {
    const metrics = {
      classes: [
        { label: 'cat', support: 50, precision: null, recall: null, f1: null },
        { label: 'dog', support: 50, precision: null, recall: null, f1: null },
      ],
      confusion: [
        [40, 10],
        [5, 45],
      ],
    };
    const [cat] = describeClasses(metrics);
    expect(cat).toMatchObject({ label: 'cat', support: 50, predicted: 45 });
    expect(cat?.precision?.value).toBe(40 / 45);
    expect(cat?.precision?.interval[0]).toBeCloseTo(0.7650090300423141, 12);
    expect(cat?.precision?.interval[1]).toBeCloseTo(0.9515952820543282, 12);
    expect(cat?.recall?.value).toBe(0.8);
    expect(cat?.recall?.interval[0]).toBeCloseTo(0.6696289406777459, 12);
    expect(cat?.recall?.interval[1]).toBeCloseTo(0.887562499842239, 12);
    expect(cat?.f1?.value).toBeCloseTo(80 / 95, 12);
    expect(cat?.f1?.interval[0]).toBeCloseTo(0.7481833158110832, 12);
    expect(cat?.f1?.interval[1]).toBeCloseTo(0.9054245673485546, 12);
  });

  it('agrees with the figures of the summary, and has none of a class that does not occur', () => {
    const metrics = new MetricsAccumulator({ classNames: ['cat', 'dog', 'emu'] });
    metrics.addBatch(Float32Array.from([2, 0, 0, 0, 2, 0, 0, 2, 0]), [0, 0, 1]);
    const summary = metrics.summarize();
    const figures = describeClasses(summary);
    expect(figures.map(({ precision }) => precision?.value ?? null)).toEqual(summary.classes.map((c) => c.precision));
    expect(figures.map(({ recall }) => recall?.value ?? null)).toEqual(summary.classes.map((c) => c.recall));
    expect(figures[0]?.f1?.value).toBeCloseTo(summary.classes[0]?.f1 ?? Number.NaN, 12);
    expect(figures[2]).toEqual({ label: 'emu', support: 0, predicted: 0, precision: null, recall: null, f1: null });
  });
});

describe('the reliability of the answers', () => {
  it('puts each answer into the bin of its confidence, and sums up to the calibration error', () => {
    const metrics = new MetricsAccumulator({ classNames: ['a', 'b'] });
    metrics.add(logitsFor(0.81), 0);
    metrics.add(logitsFor(0.86), 1);
    metrics.add(logitsFor(0.55), 0);
    metrics.add([1000, 0], 0);
    const bins = metrics.reliability();
    expect(bins.map(({ count }) => count)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 1]);
    const [empty, , full] = [bins[0], bins[1], bins[12]];
    expect(empty).toEqual({ low: 0, high: 1 / 15, count: 0, confidence: null, accuracy: null });
    expect([full?.low, full?.high, full?.accuracy?.value]).toEqual([12 / 15, 13 / 15, 0.5]);
    expect(full?.confidence).toBeCloseTo(0.835, 12);
    expect(full?.accuracy?.interval).toEqual(wilsonInterval(1, 2));
    const error = bins.reduce(
      (sum, { count, confidence, accuracy }) => sum + count * Math.abs((confidence ?? 0) - (accuracy?.value ?? 0)),
      0,
    );
    expect(metrics.summarize().expectedCalibrationError).toBeCloseTo(error / 4, 12);
  });
});

describe('measureRiskCoverage', () => {
  it('counts the errors among the most confident answers', () => {
    const { points, area } = measureRiskCoverage([0.5, 0.9, 0.8, 0.6], [false, true, false, true]);
    expect(points).toEqual([
      { threshold: 0.9, coverage: 0.25, risk: 0 },
      { threshold: 0.8, coverage: 0.5, risk: 1 / 2 },
      { threshold: 0.6, coverage: 0.75, risk: 1 / 3 },
      { threshold: 0.5, coverage: 1, risk: 2 / 4 },
    ]);
    expect(area).toBeCloseTo((0 + 1 / 2 + 1 / 3 + 2 / 4) / 4, 12);
  });

  it('gives answers of equal confidence together', () => {
    const { points, area } = measureRiskCoverage([0.9, 0.9, 0.5], [true, false, true]);
    expect(points).toEqual([
      { threshold: 0.9, coverage: 2 / 3, risk: 1 / 2 },
      { threshold: 0.5, coverage: 1, risk: 1 / 3 },
    ]);
    expect(area).toBeCloseTo((2 / 3) * (1 / 2) + (1 / 3) * (1 / 3), 12);
  });

  it('refuses no answers, and confidences of others', () => {
    expect(() => measureRiskCoverage([], [])).toThrow('internal:');
    expect(() => measureRiskCoverage([0.5], [true, true])).toThrow('internal:');
  });
});

describe('mcnemarExact', () => {
  // Computed with exact fractions.
  it.each([
    [11, 1, 0.00634765625],
    [25, 15, 0.1538599441628321],
    [300, 250, 0.036578745549102704],
    [320, 260, 0.014221936110842713],
    [3000, 2900, 0.1974390248435765],
    [0, 5, 0.0625],
    [0, 6, 0.03125],
    [7, 7, 1],
    [0, 0, 1],
  ])('of %i against %i is %f, and the same the other way round', (first, second, p) => {
    expect(mcnemarExact(first, second)).toBeCloseTo(p, 10);
    expect(mcnemarExact(second, first)).toBe(mcnemarExact(first, second));
  });
});

describe('comparePaired', () => {
  it('counts who has which image right', () => {
    const first = [true, true, true, false, false, false, false];
    const second = [true, true, false, true, true, true, false];
    expect(comparePaired(first, second)).toEqual({
      bothRight: 2,
      onlyFirstRight: 1,
      onlySecondRight: 3,
      bothWrong: 1,
      p: mcnemarExact(1, 3),
    });
  });

  it('refuses answers to different images', () => {
    expect(() => comparePaired([true], [])).toThrow('internal:');
  });
});
