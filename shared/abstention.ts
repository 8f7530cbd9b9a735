/**
 * When an answer says that the model does not know. Two signs, each with a threshold that validation images gave and that
 * costs a stated share of them: the model is unsure, or the picture is rougher or smoother than any that it was trained
 * for. The second is needed because a network can be sure of noise: it has never been told what is no picture. It looks at
 * the pixels alone, so it is no knowledge of the network's: a foreign picture that is as rough as usual and of which the
 * network is sure is answered.
 *
 * Source: Hendrycks, Gimpel 2017, arXiv:1610.02136 (probability); Liu et al. 2020, arXiv:2010.03759 (energy).
 */
import { softmax } from './classification.ts';

/** What certainty is: the greatest calibrated probability, or the negative free energy of the calibrated logits, in nats. */
export const CERTAINTY_SCORES = ['probability', 'energy'] as const;
export type CertaintyScore = (typeof CERTAINTY_SCORES)[number];

/** Signs that a model does not know. */
export const ABSTENTION_REASONS = ['unsure', 'too-smooth', 'too-rough'] as const;
export type AbstentionReason = (typeof ABSTENTION_REASONS)[number];

/** How sure a model is of its answer; more is surer. logits [classes] */
export function scoreCertainty(logits: ArrayLike<number>, score: CertaintyScore, temperature: number): number {
  if (score === 'probability') return Math.max(...softmax(logits, temperature));
  const scaled = Array.from(logits, (logit) => logit / temperature);
  const largest = Math.max(...scaled);
  return largest + Math.log(scaled.reduce((sum, value) => sum + Math.exp(value - largest), 0));
}

/** The mean difference between pixels beside and below each other, 0 to 255; pixels [height, width, channels] uint8. */
export function measureRoughness(
  pixels: Uint8Array,
  [height, width, channels]: readonly [number, number, number],
): number {
  let sum = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < channels; channel++) {
        const index = (y * width + x) * channels + channel;
        const value = pixels[index] as number;
        if (x + 1 < width) sum += Math.abs((pixels[index + channels] as number) - value);
        if (y + 1 < height) sum += Math.abs((pixels[index + width * channels] as number) - value);
      }
    }
  }
  return sum / Math.max(1, channels * (height * (width - 1) + (height - 1) * width));
}

/** The two thresholds of a model; its manifest carries them. */
export interface AbstentionThresholds {
  /** A lower score is no answer. */
  threshold: number;
  /** Pictures outside of this are none of the model's kind. */
  roughness: { min: number; max: number };
}

/** The signs that there are; an answer with any of them is none, and what is NaN says that nothing is known. */
export function findReasons(
  { score, roughness }: { score: number; roughness: number },
  thresholds: AbstentionThresholds,
): AbstentionReason[] {
  const reasons: AbstentionReason[] = [];
  const isSure = score >= thresholds.threshold && !Number.isNaN(roughness);
  if (!isSure) reasons.push('unsure');
  if (roughness < thresholds.roughness.min) reasons.push('too-smooth');
  if (roughness > thresholds.roughness.max) reasons.push('too-rough');
  return reasons;
}

/**
 * Thresholds that cost at most the stated shares of the images, and the share that passes all of them.
 *
 * @param images of the kind that the model was trained for, none of which it was trained on
 * @param shares `unsure` of the scores, `rough` at each end of the roughness
 */
export function findThresholds(
  images: readonly { score: number; roughness: number }[],
  shares: { unsure: number; rough: number },
): AbstentionThresholds & { coverage: number } {
  const scores = images.map(({ score }) => score).toSorted((a, b) => a - b);
  const roughnesses = images.map(({ roughness }) => roughness).toSorted((a, b) => a - b);
  const place = (share: number): number => Math.floor(share * images.length + 1e-9);
  const [threshold, min, max] = [
    scores[place(shares.unsure)],
    roughnesses[place(shares.rough)],
    roughnesses[images.length - 1 - place(shares.rough)],
  ];
  if (threshold === undefined || min === undefined || max === undefined) {
    throw new RangeError(`internal: ${images.length} images have no threshold`);
  }
  const thresholds = { threshold, roughness: { min, max } };
  const answered = images.filter((image) => findReasons(image, thresholds).length === 0).length;
  return { ...thresholds, coverage: answered / images.length };
}
