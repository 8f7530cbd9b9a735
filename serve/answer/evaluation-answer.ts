/** From the record of a model's evaluation to what is answered about it, and about two of them. */
import type { MissingPart, ModelComparison, ModelEvaluation } from '../../shared/evaluation-api.ts';
import {
  reportAbstention,
  reportComparison,
  reportMeasurement,
  reportRobustness,
} from '../../shared/evaluation-report.ts';
import { ProductError } from '../../shared/errors.ts';
import type { Evaluation, ModelManifest } from '../../shared/manifest.ts';
import { decodeAnswers, type TestAnswers } from '../../shared/test-answers.ts';
import { toDecimal } from './decimal.ts';

/** A model with what was measured of it. */
export interface MeasuredModel {
  manifest: ModelManifest;
  evaluation: Evaluation;
}

const MEASURE = 'npm run model -- evaluate --model DIR';
const MEASURE_ROBUSTNESS = `${MEASURE} --robustness 500`;

/** Errors: 'model/damaged' when the kept answers do not fit the metrics. */
export function answerEvaluation({ manifest, evaluation }: MeasuredModel): ModelEvaluation {
  const { modelId: id, name, provenance } = manifest;
  const { dataset, createdAt, runtime, hardware, commit, command, metrics, calibration } = evaluation;
  const { robustness, abstention, parity } = evaluation;
  const answers = readAnswers({ manifest, evaluation });
  const parts: [MissingPart['part'], unknown][] = [
    ['metrics', metrics ?? undefined],
    ['calibration', calibration],
    ['answers', answers],
    ['robustness', robustness],
    // A model without thresholds answers always: there is nothing to measure.
    ['abstention', manifest.abstention === undefined ? null : abstention],
  ];
  return {
    model: { id, name },
    dataset,
    measured: { createdAt, runtime, hardware, commit, command },
    provenance,
    report: metrics === null ? null : reportMeasurement({ metrics, calibration, answers }),
    robustness: robustness === undefined ? null : reportRobustness(robustness),
    abstention: abstention === undefined ? null : reportAbstention(abstention),
    parity,
    missing: parts.flatMap(([part, value]) =>
      value === undefined ? [{ part, command: part === 'robustness' ? MEASURE_ROBUSTNESS : MEASURE }] : [],
    ),
  };
}

/**
 * Errors   'evaluation/missing' when a model's answers were not kept; 'evaluation/incomparable' for other classes or
 *          another test set; 'model/damaged'
 */
export function answerComparison(first: MeasuredModel, second: MeasuredModel): ModelComparison {
  requireSameImages(first, second);
  const { n, change, agreement, bothRight, bothWrong, onlyFirstRight, onlySecondRight, p, classes, ...accuracy } =
    reportComparison(requireAnswers(first), requireAnswers(second), first.manifest.classNames);
  const nameModel = ({ manifest: { modelId: id, name } }: MeasuredModel) => ({ id, name });
  return {
    first: { ...nameModel(first), accuracy: accuracy.first },
    second: { ...nameModel(second), accuracy: accuracy.second },
    dataset: first.evaluation.dataset,
    n,
    change,
    p: toDecimal(p),
    agreement,
    bothRight,
    bothWrong,
    onlyFirstRight,
    onlySecondRight,
    classes: classes.map((each) => ({ ...each, p: toDecimal(each.p) })),
  };
}

/** What there is to say of a model that was never measured. */
export function missingEvaluation(modelId: string): ProductError {
  return new ProductError(
    'evaluation/missing',
    `model ${modelId} has no evaluation; the operator runs "${MEASURE}" on its folder and publishes it again`,
    { details: { command: MEASURE } },
  );
}

function requireAnswers(model: MeasuredModel): TestAnswers {
  const answers = readAnswers(model);
  if (answers !== undefined) return answers;
  throw new ProductError(
    'evaluation/missing',
    `the evaluation of model ${model.manifest.modelId} keeps no answers to the images of the test set; the operator runs "${MEASURE}" on its folder and publishes it again`,
    { details: { command: MEASURE } },
  );
}

function readAnswers({ manifest, evaluation }: MeasuredModel): TestAnswers | undefined {
  const { answers, metrics } = evaluation;
  if (answers === undefined || metrics === null) return undefined;
  return decodeAnswers(answers, { images: metrics.n, classes: manifest.classNames.length });
}

function requireSameImages(first: MeasuredModel, second: MeasuredModel): void {
  const [a, b] = [first.evaluation.dataset, second.evaluation.dataset];
  const [one, other] = [first.manifest.classNames.join(', '), second.manifest.classNames.join(', ')];
  if (a.sha256 === b.sha256 && a.split === b.split && one === other) return;
  throw new ProductError(
    'evaluation/incomparable',
    `model ${first.manifest.modelId} was measured on ${a.name} ${a.split} (${a.sha256.slice(0, 8)}; ${one}), model ${second.manifest.modelId} on ${b.name} ${b.split} (${b.sha256.slice(0, 8)}; ${other}); only answers to the same images can be compared`,
  );
}
