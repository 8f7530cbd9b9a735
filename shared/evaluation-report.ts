/**
 * From what is measured to what is told: the tables of one model, and of two on the same images. Pure, so that the
 * recorded evaluation of a model and that of a caller's own pictures cannot differ in what they mean.
 */
import type { AbstentionReason } from './abstention.ts';
import type { Evaluation } from './manifest.ts';
import { comparePaired, describeClasses, measureRiskCoverage, wilsonInterval } from './metrics.ts';
import type { ClassFigures, PairedComparison, RiskCoverage, Share } from './metrics.ts';
import type { Measurement } from './evaluation-meter.ts';
import { groupMistakes } from './test-answers.ts';
import type { MistakeCell, TestAnswers } from './test-answers.ts';

/** The part of a measurement that there is: an older record has metrics only. */
export type PartialMeasurement = Pick<Measurement, 'metrics'> & {
  [Part in 'calibration' | 'answers']: Measurement[Part] | undefined;
};

export interface EvaluationReport {
  n: number;
  correct: number;
  accuracy: Share;
  /** Mean cross-entropy in nats, of the calibrated probabilities. */
  loss: number;
  classes: ClassFigures[];
  /** [true class][predicted class] */
  confusion: number[][];
  calibration: Measurement['calibration'] | null;
  riskCoverage: RiskCoverage | null;
  mistakes: MistakeCell[] | null;
}

/** Points of a curve that is drawn: one for each percent of coverage. */
const CURVE_POINTS = 100;

export function reportMeasurement({ metrics, calibration, answers }: PartialMeasurement): EvaluationReport {
  const { n, correct, loss, classes, confusion } = metrics;
  return {
    n,
    correct,
    accuracy: shareOf(correct, n),
    loss,
    classes: describeClasses(metrics),
    confusion,
    calibration: calibration ?? null,
    riskCoverage: answers === undefined ? null : measureCurve(answers),
    mistakes:
      answers === undefined
        ? null
        : groupMistakes(
            answers,
            classes.map(({ label }) => label),
          ),
  };
}

/** The curve at each percent of coverage; its area is that of the whole curve. */
function measureCurve(answers: TestAnswers): RiskCoverage {
  const { points, area } = measureRiskCoverage(answers.confidence, markCorrect(answers));
  const kept: RiskCoverage['points'] = [];
  for (const point of points) {
    const wanted = Math.floor(point.coverage * CURVE_POINTS);
    const reached = Math.floor((kept.at(-1)?.coverage ?? 0) * CURVE_POINTS);
    if (wanted > reached) kept.push(point);
  }
  return { points: kept, area };
}

function markCorrect({ labels, predicted }: TestAnswers): boolean[] {
  return Array.from(labels, (label, index) => predicted[index] === label);
}

/** How many of the images of a corrupted test set are answered well. */
export interface RobustnessReport {
  definition: string;
  seed: number;
  /** Images of the test set, the first ones. */
  n: number;
  /** Of the same images as they are. */
  clean: Share;
  /** Mean accuracy over all corruptions and severities. */
  mean: number;
  corruptions: { name: string; severity: number; accuracy: Share }[];
}

export function reportRobustness(record: NonNullable<Evaluation['robustness']>): RobustnessReport {
  const { definition, seed, images: n, correct, corruptions } = record;
  return {
    definition,
    seed,
    n,
    clean: shareOf(correct, n),
    mean: corruptions.reduce((sum, each) => sum + each.correct / n, 0) / corruptions.length,
    corruptions: corruptions.map((each) => ({
      name: each.name,
      severity: each.severity,
      accuracy: shareOf(each.correct, n),
    })),
  };
}

/** What not answering costs and gains on the test set, and how often foreign pictures are not answered. */
export interface AbstentionReport {
  n: number;
  /** Share of the test images that are answered. */
  coverage: Share;
  /** Accuracy of the answers that are given; null where none is. */
  accuracy: Share | null;
  reasons: Record<AbstentionReason, number>;
  definition: string;
  seed: number;
  foreign: { name: string; n: number; abstained: Share }[];
}

export function reportAbstention(record: NonNullable<Evaluation['abstention']>): AbstentionReport {
  const { images: n, answered, correct, reasons, definition, seed, foreign } = record;
  return {
    n,
    coverage: shareOf(answered, n),
    accuracy: answered === 0 ? null : shareOf(correct, answered),
    reasons,
    definition,
    seed,
    foreign: foreign.map(({ name, images, abstained }) => ({ name, n: images, abstained: shareOf(abstained, images) })),
  };
}

export interface ClassChange {
  label: string;
  support: number;
  /** Recall of each model. */
  first: Share | null;
  second: Share | null;
  onlyFirstRight: number;
  onlySecondRight: number;
  /** Exact McNemar on the images of the class, not corrected for the number of classes. */
  p: number;
}

export interface ComparisonReport {
  n: number;
  first: Share;
  second: Share;
  /** Accuracy of the second minus that of the first. */
  change: number;
  /** Share of the images to which both give the same answer, right or wrong. */
  agreement: Share;
  bothRight: number;
  bothWrong: number;
  /** Places in the test set, from 0. */
  onlyFirstRight: number[];
  onlySecondRight: number[];
  /** Exact McNemar, two-sided. */
  p: number;
  classes: ClassChange[];
}

/** Compare the answers of two models to the same images; `internal` errors when they are not the same. */
export function reportComparison(
  first: TestAnswers,
  second: TestAnswers,
  classNames: readonly string[],
): ComparisonReport {
  const n = first.labels.length;
  if (n !== second.labels.length || first.labels.some((label, index) => label !== second.labels[index])) {
    throw new RangeError('internal: answers to different images cannot be compared');
  }
  const [isFirstRight, isSecondRight] = [markCorrect(first), markCorrect(second)];
  const { bothRight, bothWrong, p } = comparePaired(isFirstRight, isSecondRight);
  const places = Array.from({ length: n }, (_, index) => index);
  const rightFirst = isFirstRight.filter(Boolean).length;
  const rightSecond = isSecondRight.filter(Boolean).length;
  return {
    n,
    first: shareOf(rightFirst, n),
    second: shareOf(rightSecond, n),
    change: (rightSecond - rightFirst) / n,
    agreement: shareOf(places.filter((index) => first.predicted[index] === second.predicted[index]).length, n),
    bothRight,
    bothWrong,
    onlyFirstRight: places.filter((index) => isFirstRight[index] === true && isSecondRight[index] === false),
    onlySecondRight: places.filter((index) => isFirstRight[index] === false && isSecondRight[index] === true),
    p,
    classes: classNames.map((label, id) => {
      const members = places.filter((index) => first.labels[index] === id);
      const counts = comparePaired(
        members.map((index) => isFirstRight[index] === true),
        members.map((index) => isSecondRight[index] === true),
      );
      return describeChange(label, members.length, counts);
    }),
  };
}

function describeChange(label: string, support: number, counts: PairedComparison): ClassChange {
  const { bothRight, onlyFirstRight, onlySecondRight, p } = counts;
  return {
    label,
    support,
    first: support === 0 ? null : shareOf(bothRight + onlyFirstRight, support),
    second: support === 0 ? null : shareOf(bothRight + onlySecondRight, support),
    onlyFirstRight,
    onlySecondRight,
    p,
  };
}

function shareOf(successes: number, trials: number): Share {
  return { value: successes / trials, interval: wilsonInterval(successes, trials) };
}
