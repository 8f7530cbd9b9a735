/** From logits to what an answer says of classes: label, calibrated probability, and whether the model knows at all. */
import type { Abstention, Prediction } from '../../shared/api.ts';
import { findReasons, measureRoughness, scoreCertainty } from '../../shared/abstention.ts';
import { softmax } from '../../shared/classification.ts';
import type { ModelManifest } from '../../shared/manifest.ts';
import { toDecimal } from './decimal.ts';

/** One entry for each of `classes`, in order; logits [classes of the model]. */
export function describePredictions(
  logits: ArrayLike<number>,
  classes: readonly number[],
  { classNames, temperature }: Pick<ModelManifest, 'classNames' | 'temperature'>,
): Prediction[] {
  const scores = softmax(logits, temperature);
  return classes.map((index) => ({
    label: classNames[index] ?? '',
    index,
    score: toDecimal(scores[index] ?? Number.NaN),
    logit: toDecimal(logits[index] ?? Number.NaN),
  }));
}

/**
 * The part of an answer that says whether the model knows; empty for a model without thresholds.
 *
 * Shapes   logits [classes], pixels as the model takes them
 */
export function judgeAnswer(
  { logits, pixels }: { logits: ArrayLike<number>; pixels: Uint8Array },
  { abstention, temperature, architecture }: Pick<ModelManifest, 'abstention' | 'temperature' | 'architecture'>,
): { abstain?: Abstention } {
  if (abstention === undefined) return {};
  const { score: kind, threshold, roughness: roughnessRange } = abstention;
  const score = scoreCertainty(logits, kind, temperature);
  const roughness = measureRoughness(pixels, architecture.inputShape);
  const reasons = findReasons({ score, roughness }, abstention);
  return {
    abstain: {
      isAbstained: reasons.length > 0,
      reasons,
      score: toDecimal(score),
      threshold,
      kind,
      roughness: toDecimal(roughness),
      roughnessRange,
    },
  };
}
