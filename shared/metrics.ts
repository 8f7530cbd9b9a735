/** What is measured of a classifier: trainer, converter and server report these and compute them nowhere else. */
import { argMax, softmax } from './classification.ts';
import type { Metrics } from './manifest.ts';

const NORMAL_QUANTILE_95 = 1.959963984540054;
const CALIBRATION_BINS = 15;

/**
 * Wilson score interval of a proportion at 95 %, clamped to [0, 1].
 *
 * Source: Wilson 1927; golden values in `test/shared/metrics.test.ts`.
 */
export function wilsonInterval(successes: number, trials: number): [number, number] {
  if (trials <= 0) throw new RangeError(`internal: ${trials} trials`);
  const z2 = NORMAL_QUANTILE_95 ** 2;
  const share = successes / trials;
  const centre = (share + z2 / (2 * trials)) / (1 + z2 / trials);
  const half =
    (NORMAL_QUANTILE_95 / (1 + z2 / trials)) * Math.sqrt((share * (1 - share)) / trials + z2 / (4 * trials * trials));
  const isCertain = successes === trials;
  return [successes === 0 ? 0 : Math.max(0, centre - half), isCertain ? 1 : Math.min(1, centre + half)];
}

/** Precision, recall and F1 of one class; null where there is nothing to divide by. */
export interface ClassFigures {
  label: string;
  /** Images of the class. */
  support: number;
  /** Images that were taken for the class. */
  predicted: number;
  precision: Share | null;
  recall: Share | null;
  f1: Share | null;
}

/** A proportion with its Wilson interval at 95 %. */
export interface Share {
  value: number;
  interval: [low: number, high: number];
}

/**
 * The figures of each class with their intervals, from a confusion matrix [true class][predicted class].
 *
 * F1 is no proportion, but F1 / (2 - F1) = hits / (hits + misses + false alarms) is one and rises with it: its Wilson
 * interval is taken back to F1.
 *
 * Source: Lam, Gopal, Qian 2023, arXiv:2309.14621, the indirect Wilson method.
 */
export function describeClasses({ classes, confusion }: Pick<Metrics, 'classes' | 'confusion'>): ClassFigures[] {
  return classes.map(({ label }, index) => {
    const support = sum(confusion[index] ?? []);
    const predicted = sum(confusion.map((row) => row[index] ?? 0));
    const hits = confusion[index]?.[index] ?? 0;
    const overlap = shareOf(hits, support + predicted - hits);
    const [low, high] = overlap?.interval ?? [0, 0];
    return {
      label,
      support,
      predicted,
      precision: shareOf(hits, predicted),
      recall: shareOf(hits, support),
      f1: overlap && { value: toF1(overlap.value), interval: [toF1(low), toF1(high)] },
    };
  });
}

function shareOf(successes: number, trials: number): Share | null {
  return trials === 0 ? null : { value: successes / trials, interval: wilsonInterval(successes, trials) };
}

function toF1(overlap: number): number {
  return (2 * overlap) / (1 + overlap);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** The answers whose top probability lies in [low, high); the last bin has 1 too. */
export interface ReliabilityBin {
  low: number;
  high: number;
  count: number;
  /** Mean top probability; null in an empty bin. */
  confidence: number | null;
  /** How many of the answers are right; null in an empty bin. */
  accuracy: Share | null;
}

/** Risk when only the most confident answers are given. */
export interface RiskCoverage {
  /** One for each distinct confidence, the highest first: answers with at least `threshold` are given. */
  points: { threshold: number; coverage: number; risk: number }[];
  /** Of the risk over the coverage, as steps; 0 is perfect. */
  area: number;
}

/**
 * Selective classification: answer only from a confidence on, and the share of wrong answers among those given.
 *
 * Source: Geifman, El-Yaniv 2017, arXiv:1705.08500.
 *
 * @param confidences [images], top probabilities
 * @param isCorrect [images]
 */
export function measureRiskCoverage(confidences: ArrayLike<number>, isCorrect: ArrayLike<boolean>): RiskCoverage {
  const n = confidences.length;
  if (n === 0 || n !== isCorrect.length) {
    throw new RangeError(`internal: ${n} confidences for ${isCorrect.length} answers`);
  }
  const order = Array.from({ length: n }, (_, index) => index).toSorted(
    (a, b) => (confidences[b] ?? 0) - (confidences[a] ?? 0),
  );
  const points: RiskCoverage['points'] = [];
  let [wrong, area] = [0, 0];
  for (const [place, index] of order.entries()) {
    wrong += isCorrect[index] === true ? 0 : 1;
    const threshold = confidences[index] ?? Number.NaN;
    // Answers with equal confidence are given together or not at all.
    if (confidences[order[place + 1] ?? -1] === threshold) continue;
    const [coverage, risk] = [(place + 1) / n, wrong / (place + 1)];
    area += (coverage - (points.at(-1)?.coverage ?? 0)) * risk;
    points.push({ threshold, coverage, risk });
  }
  return { points, area };
}

/** Two classifiers on the same images. */
export interface PairedComparison {
  bothRight: number;
  onlyFirstRight: number;
  onlySecondRight: number;
  bothWrong: number;
  /** Exact McNemar, two-sided: how likely a difference as large as this is if both are equally good. */
  p: number;
}

/** Compare two classifiers by which images each has right; [images] each. */
export function comparePaired(first: ArrayLike<boolean>, second: ArrayLike<boolean>): PairedComparison {
  if (first.length !== second.length) {
    throw new RangeError(`internal: ${first.length} and ${second.length} answers cannot be paired`);
  }
  const counts = { bothRight: 0, onlyFirstRight: 0, onlySecondRight: 0, bothWrong: 0 };
  for (let index = 0; index < first.length; index++) {
    if (first[index] === true) counts[second[index] === true ? 'bothRight' : 'onlyFirstRight'] += 1;
    else counts[second[index] === true ? 'onlySecondRight' : 'bothWrong'] += 1;
  }
  return { ...counts, p: mcnemarExact(counts.onlyFirstRight, counts.onlySecondRight) };
}

/**
 * Two-sided exact McNemar test: the binomial test of one half on the images that only one of two classifiers has right.
 *
 * Source: McNemar 1947; golden values in `test/shared/metrics.test.ts`.
 */
export function mcnemarExact(onlyFirstRight: number, onlySecondRight: number): number {
  const discordant = onlyFirstRight + onlySecondRight;
  const fewer = Math.min(onlyFirstRight, onlySecondRight);
  // Logarithms, because one half to the power of some thousand is no number any more.
  let logChoices = 0;
  let tail = 0;
  for (let count = 0; count <= fewer; count++) {
    if (count > 0) logChoices += Math.log((discordant - count + 1) / count);
    tail += Math.exp(logChoices - discordant * Math.LN2);
  }
  return Math.min(1, 2 * tail);
}

/** Counts answers one image at a time, so that any number of images fits into memory. */
export class MetricsAccumulator {
  readonly #classNames: readonly string[];
  readonly #temperature: number;
  readonly #confusion: number[][];
  readonly #bins = Array.from({ length: CALIBRATION_BINS }, () => ({ count: 0, correct: 0, confidence: 0 }));
  #n = 0;
  #correct = 0;
  #loss = 0;

  constructor(options: { classNames: readonly string[]; temperature?: number }) {
    this.#classNames = options.classNames;
    this.#temperature = options.temperature ?? 1;
    this.#confusion = options.classNames.map(() => options.classNames.map(() => 0));
  }

  /** Add one image: its logits [classes] and its true class. */
  add(logits: ArrayLike<number>, label: number): void {
    const probabilities = softmax(logits, this.#temperature);
    const predicted = argMax(logits);
    const confidence = probabilities[predicted];
    const row = this.#confusion[label];
    const cell = row?.[predicted];
    if (row === undefined || cell === undefined || confidence === undefined) {
      throw new RangeError(
        `internal: label ${label} and ${logits.length} logits for ${this.#classNames.length} classes`,
      );
    }
    row[predicted] = cell + 1;
    const isCorrect = predicted === label;
    this.#n += 1;
    this.#correct += isCorrect ? 1 : 0;
    this.#loss += -logProbability(logits, label, this.#temperature);
    const bin = this.#bins[Math.min(CALIBRATION_BINS - 1, Math.floor(confidence * CALIBRATION_BINS))];
    if (bin === undefined) throw new Error(`internal: a probability of ${confidence}`);
    bin.count += 1;
    bin.correct += isCorrect ? 1 : 0;
    bin.confidence += confidence;
  }

  /** Add a batch: logits [batch, classes] in one array, labels [batch]. */
  addBatch(logits: Float32Array, labels: ArrayLike<number>): void {
    const classes = this.#classNames.length;
    for (let index = 0; index < labels.length; index++) {
      this.add(logits.subarray(index * classes, (index + 1) * classes), labels[index] ?? -1);
    }
  }

  /** The metrics of everything added so far; at least one image is needed. */
  summarize(): Metrics {
    const gap = sum(this.#bins.map((bin) => Math.abs(bin.correct - bin.confidence)));
    return {
      n: this.#n,
      correct: this.#correct,
      accuracy: this.#correct / this.#n,
      accuracyInterval: wilsonInterval(this.#correct, this.#n),
      loss: this.#loss / this.#n,
      expectedCalibrationError: gap / this.#n,
      classes: this.#classNames.map((label, index) => this.#reportClass(label, index)),
      confusion: this.#confusion.map((row) => [...row]),
    };
  }

  /** How right the answers of each confidence are: what the calibration error sums up. */
  reliability(): ReliabilityBin[] {
    return this.#bins.map(({ count, correct, confidence }, index) => ({
      low: index / CALIBRATION_BINS,
      high: (index + 1) / CALIBRATION_BINS,
      count,
      confidence: count === 0 ? null : confidence / count,
      accuracy: shareOf(correct, count),
    }));
  }

  #reportClass(label: string, index: number): Metrics['classes'][number] {
    const row = this.#confusion[index] ?? [];
    const support = sum(row);
    const predicted = sum(this.#confusion.map((each) => each[index] ?? 0));
    const hits = row[index] ?? 0;
    return {
      label,
      support,
      precision: predicted === 0 ? null : hits / predicted,
      recall: support === 0 ? null : hits / support,
      f1: support + predicted === 0 ? null : (2 * hits) / (support + predicted),
    };
  }
}

/** log softmax(logits / temperature)[label], stable for any finite logits. */
function logProbability(logits: ArrayLike<number>, label: number, temperature: number): number {
  const scaled = Float64Array.from(logits, (logit) => logit / temperature);
  const largest = scaled.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  const powers = scaled.reduce((total, value) => total + Math.exp(value - largest), 0);
  return (scaled[label] ?? Number.NaN) - largest - Math.log(powers);
}
