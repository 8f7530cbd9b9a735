/**
 * Measures a model folder on the official test set, each image once, in stock TensorFlow.js, and writes
 * `evaluation.json` beside the model. Nothing is chosen here.
 */
import path from 'node:path';
import { ProductError } from '../../shared/errors.ts';
import { EVALUATION_FILE, evaluationSchema } from '../../shared/manifest.ts';
import type {
  AbstentionRecord,
  Evaluation,
  ModelManifest,
  ParityRecord,
  Robustness,
  TrainingRecord,
} from '../../shared/manifest.ts';
import { EvaluationMeter } from '../../shared/evaluation-meter.ts';
import type { Measurement } from '../../shared/evaluation-meter.ts';
import { encodeAnswers } from '../../shared/test-answers.ts';
import type { Normalization } from '../../shared/normalize.ts';
import { LOGITS_LAYER } from '../../shared/resnet.ts';
import { evaluationBatches } from '../batches.ts';
import type { Dataset } from '../dataset.ts';
import { createProgressBar } from '../progress-bar.ts';
import type { ProgressStream } from '../progress-bar.ts';
import { describeHardware, readCommit } from '../provenance.ts';
import { AbstentionMeter } from './measure-abstention.ts';
import { measureRobustness } from './measure-robustness.ts';
import { readEvaluation, readModel } from './read-model.ts';
import { loadStockModel } from './run-stock.ts';
import type { ModelRunner } from './runner.ts';
import { formatJson, replaceFile } from './write-model.ts';

const BATCH_SIZE = 50;

/**
 * Evaluate a model folder on the test images of a data set and write the record. What was recorded before of the same
 * model on the same data stays: parity, and robustness unless it is measured again. So does what its training took.
 *
 * Errors: those of `readModel`; `evaluation/mismatch` when the data set has other classes or image shapes.
 */
export async function evaluateModel(options: {
  folder: string;
  dataset: Dataset;
  /** The command line, for the record. */
  command: string;
  /** Also measure corrupted images: so many of the test set, in each corruption. */
  robustnessImages?: number | undefined;
  stream?: ProgressStream;
}): Promise<Evaluation> {
  const { folder, dataset, command } = options;
  const model = await readModel(folder);
  const { manifest } = model;
  requireSameTask(manifest, dataset);
  const former = await readEvaluation(folder, manifest.modelId);
  const runner = await loadStockModel(model);
  const measured = { ...options, runner, manifest };
  const { abstention: rule } = manifest;
  const abstentionMeter = rule === undefined ? undefined : new AbstentionMeter(manifest, rule);
  const measurement = await measureTestSet({ ...measured, abstentionMeter });
  const abstention = await abstentionMeter?.summarize(runner, dataset);
  const kept = former?.dataset.sha256 === dataset.sha256 ? former : undefined;
  const images = options.robustnessImages;
  const robustness = images === undefined ? kept?.robustness : await measureRobustness({ ...measured, images });
  const evaluation = await describeEvaluation({
    manifest,
    dataset,
    runtime: runner.name,
    command,
    measurement,
    robustness,
    abstention,
    parity: kept?.parity ?? [],
    training: former?.training,
  });
  runner.dispose();
  await writeEvaluation(folder, evaluation);
  return evaluation;
}

async function measureTestSet(options: {
  runner: ModelRunner;
  manifest: ModelManifest;
  dataset: Dataset;
  abstentionMeter: AbstentionMeter | undefined;
  stream?: ProgressStream;
}): Promise<Measurement> {
  const { runner, manifest, dataset, abstentionMeter, stream } = options;
  const size = dataset.test.pixels.length / dataset.test.count;
  const { classNames, temperature } = manifest;
  const meter = new EvaluationMeter({ classNames, temperature });
  const bar = createProgressBar({ total: dataset.test.count, ...(stream === undefined ? {} : { stream }) });
  for (const batch of testBatches(manifest.preprocess, dataset, BATCH_SIZE)) {
    const outputs = await runner.run(batch.images, batch.count, [LOGITS_LAYER]);
    const logits = await outputs.read(LOGITS_LAYER);
    outputs.release();
    const classes = classNames.length;
    for (const [index, label] of batch.labels.entries()) {
      const answer = logits.subarray(index * classes, (index + 1) * classes);
      const pixels = dataset.test.pixels.subarray(meter.n * size, (meter.n + 1) * size);
      meter.add(answer, label);
      abstentionMeter?.add({ pixels, logits: answer, label });
    }
    bar.update({ done: meter.n, parts: [`accuracy ${((100 * meter.correct) / meter.n).toFixed(2)} %`] });
  }
  bar.end();
  return meter.summarize();
}

/** The test images from `first` up to `end` (all of them if not given), normalised as the model wants it. */
export function testBatches(
  normalization: Normalization,
  dataset: Dataset,
  batchSize: number,
  { first = 0, end = dataset.test.count }: { first?: number; end?: number } = {},
): ReturnType<typeof evaluationBatches> {
  const { pixels, labels } = dataset.test;
  const size = dataset.imageShape.reduce((product, dimension) => product * dimension, 1);
  return evaluationBatches({
    images: {
      pixels: pixels.subarray(first * size, end * size),
      labels: labels.subarray(first, end),
      count: end - first,
    },
    imageShape: dataset.imageShape,
    normalization,
    batchSize,
  });
}

/** The record of what was measured, with when and where. */
export async function describeEvaluation(options: {
  manifest: ModelManifest;
  dataset: Dataset;
  runtime: string;
  command: string;
  /** Null when only parity was measured. */
  measurement: Measurement | null;
  robustness?: Robustness | undefined;
  abstention?: AbstentionRecord | undefined;
  parity: readonly ParityRecord[];
  training: TrainingRecord | undefined;
}): Promise<Evaluation> {
  const { manifest, dataset, runtime, command, measurement, robustness, abstention, parity, training } = options;
  return evaluationSchema.parse({
    formatVersion: 1,
    modelId: manifest.modelId,
    createdAt: new Date().toISOString(),
    dataset: { name: dataset.name, split: 'test', sha256: dataset.sha256 },
    runtime,
    hardware: describeHardware(),
    commit: await readCommit(),
    command,
    metrics: measurement?.metrics ?? null,
    calibration: measurement?.calibration,
    answers: measurement === null ? undefined : encodeAnswers(measurement.answers),
    robustness,
    abstention,
    parity,
    training,
  } satisfies Record<keyof Evaluation, unknown>);
}

/** Write `evaluation.json`; a former one is replaced at once, never half. */
export async function writeEvaluation(folder: string, evaluation: Evaluation): Promise<void> {
  await replaceFile(path.join(folder, EVALUATION_FILE), formatJson(evaluation));
}

/** A model can only be measured on images of its shape with its classes. Errors: `evaluation/mismatch`. */
export function requireSameTask(
  model: { architecture: { inputShape: readonly number[] }; classNames: readonly string[] },
  dataset: Pick<Dataset, 'name' | 'classNames' | 'imageShape'>,
): void {
  const { architecture, classNames } = model;
  if (classNames.join() === dataset.classNames.join() && architecture.inputShape.join() === dataset.imageShape.join()) {
    return;
  }
  throw new ProductError(
    'evaluation/mismatch',
    `the model takes [${architecture.inputShape.join(', ')}] images of ${classNames.join(', ')}; ${dataset.name} has [${dataset.imageShape.join(', ')}] images of ${dataset.classNames.join(', ')}; use the data it was trained for`,
  );
}
