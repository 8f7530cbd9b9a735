/**
 * What makes a finished network's answers honest, all of it from validation images, never from the test set: the
 * temperature, and the thresholds from where on the answers count (`shared/abstention.ts`).
 *
 * Temperature scaling: one number that divides the logits, so that a probability of 0.9 is right nine times of ten. It
 * changes no answer.
 *
 * Source: Guo et al. 2017, arXiv:1706.04599.
 */
import { findThresholds, measureRoughness, scoreCertainty } from '../shared/abstention.ts';
import type { AbstentionRule } from '../shared/manifest.ts';
import { MetricsAccumulator } from '../shared/metrics.ts';
import type { Calibration } from './checkpoint.ts';

/** The network's answers on a split. */
export interface Answers {
  /** [count, classes] */
  logits: Float32Array;
  /** [count], class ids */
  labels: Uint8Array;
}

/** A temperature that wants to be outside of this is no estimate: the images are too few, or all are classified alike. */
const RANGE = { smallest: 0.1, largest: 10 };
const GOLDEN_RATIO = (Math.sqrt(5) - 1) / 2;
/** Of the logarithm of the temperature. */
const TOLERANCE = 1e-6;

/** Which share of the validation images the answer "I do not know" may cost: 5 % together. */
const ABSTENTION_SHARES = { unsure: 0.04, rough: 0.005 } as const;
/** From fewer images the ends of a distribution cannot be told. */
const FEWEST_IMAGES = 1000;

/** From where on the answers count; undefined where the images are too few to tell. `pixels` [count, ...imageShape]. */
export function findAbstention(
  { logits, labels: { length: count } }: Pick<Answers, 'logits' | 'labels'>,
  { pixels, imageShape, temperature }: ValidationImages,
): AbstentionRule | undefined {
  if (count < FEWEST_IMAGES) return undefined;
  const [classes, size] = [logits.length / count, pixels.length / count];
  const images = Array.from({ length: count }, (_, image) => ({
    score: scoreCertainty(logits.subarray(image * classes, (image + 1) * classes), 'energy', temperature),
    roughness: measureRoughness(pixels.subarray(image * size, (image + 1) * size), imageShape),
  }));
  return { score: 'energy', ...findThresholds(images, ABSTENTION_SHARES), images: count };
}

export interface ValidationImages {
  /** [count, height, width, channels] */
  pixels: Uint8Array;
  imageShape: readonly [number, number, number];
  temperature: number;
}

/** The temperature with the least cross-entropy, with what it changes; a temperature of null changes nothing. */
export function calibrate(answers: Answers, classNames: readonly string[]): Calibration {
  const temperature = fitTemperature(answers);
  const before = measureAnswers(answers, classNames, 1);
  const after = measureAnswers(answers, classNames, temperature ?? 1);
  return {
    temperature,
    images: answers.labels.length,
    loss: { before: before.loss, after: after.loss },
    expectedCalibrationError: { before: before.expectedCalibrationError, after: after.expectedCalibrationError },
  };
}

/** Loss and calibration error of answers at a temperature. */
export function measureAnswers(
  { logits, labels }: Answers,
  classNames: readonly string[],
  temperature: number,
): { loss: number; expectedCalibrationError: number } {
  const metrics = new MetricsAccumulator({ classNames, temperature });
  metrics.addBatch(logits, labels);
  const { loss, expectedCalibrationError } = metrics.summarize();
  return { loss, expectedCalibrationError };
}

/**
 * Golden-section search on the logarithm of the temperature: the loss is convex in 1 / temperature, so it has one
 * minimum. Null when that is not within the range.
 */
export function fitTemperature(answers: Answers): number | null {
  const limits = { low: Math.log(RANGE.smallest), high: Math.log(RANGE.largest) };
  let { low, high } = limits;
  const loss = (logarithm: number): number => meanCrossEntropy(answers, Math.exp(-logarithm));
  let left = high - GOLDEN_RATIO * (high - low);
  let right = low + GOLDEN_RATIO * (high - low);
  let [lossLeft, lossRight] = [loss(left), loss(right)];
  while (high - low > TOLERANCE) {
    if (lossLeft < lossRight) {
      [high, right, lossRight] = [right, left, lossLeft];
      left = high - GOLDEN_RATIO * (high - low);
      lossLeft = loss(left);
    } else {
      [low, left, lossLeft] = [left, right, lossRight];
      right = low + GOLDEN_RATIO * (high - low);
      lossRight = loss(right);
    }
  }
  const isInside = low > limits.low + TOLERANCE && high < limits.high - TOLERANCE;
  return isInside ? Math.exp((low + high) / 2) : null;
}

/** In nats, of softmax(factor * logits). */
function meanCrossEntropy({ logits, labels }: Answers, factor: number): number {
  const classes = logits.length / labels.length;
  let sum = 0;
  for (let image = 0; image < labels.length; image++) {
    const first = image * classes;
    let largest = Number.NEGATIVE_INFINITY;
    for (let index = first; index < first + classes; index++) largest = Math.max(largest, logits[index] ?? 0);
    let powers = 0;
    for (let index = first; index < first + classes; index++) {
      powers += Math.exp(factor * ((logits[index] ?? 0) - largest));
    }
    sum += Math.log(powers) - factor * ((logits[first + (labels[image] ?? 0)] ?? Number.NaN) - largest);
  }
  return sum / labels.length;
}
