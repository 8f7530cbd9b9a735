/**
 * Measures a model folder on the official test set, each image once, in stock TensorFlow.js, and writes
 * `evaluation.json` beside the model. Nothing is chosen here.
 */
import path from 'node:path';
import { ProductError } from '../../shared/errors.ts';
import { EVALUATION_FILE, evaluationSchema } from '../../shared/manifest.ts';
import type { Evaluation, Metrics, ModelManifest, ParityRecord, TrainingRecord } from '../../shared/manifest.ts';
import { MetricsAccumulator } from '../../shared/metrics.ts';
import type { Normalization } from '../../shared/normalize.ts';
import { LOGITS_LAYER } from '../../shared/resnet.ts';
import { evaluationBatches } from '../batches.ts';
import type { Dataset } from '../dataset.ts';
import { createProgressBar } from '../progress-bar.ts';
import type { ProgressStream } from '../progress-bar.ts';
import { describeHardware, readCommit } from '../provenance.ts';
import { readEvaluation, readModel } from './read-model.ts';
import { loadStockModel } from './run-stock.ts';
import type { ModelRunner } from './runner.ts';
import { formatJson, replaceFile } from './write-model.ts';

const BATCH_SIZE = 50;

/**
 * Evaluate a model folder on the test images of a data set and write the record. Parity records of the same model on the
 * same data stay, and what its training took.
 *
 * Errors: those of `readModel`; `evaluation/mismatch` when the data set has other classes or image shapes.
 */
export async function evaluateModel(options: {
  folder: string;
  dataset: Dataset;
  /** The command line, for the record. */
  command: string;
  stream?: ProgressStream;
}): Promise<Evaluation> {
  const { folder, dataset, command } = options;
  const model = await readModel(folder);
  requireSameTask(model.manifest, dataset);
  const former = await readEvaluation(folder, model.manifest.modelId);
  const runner = await loadStockModel(model);
  const metrics = await measureMetrics({ ...options, runner, manifest: model.manifest });
  const parity = former?.dataset.sha256 === dataset.sha256 ? former.parity : [];
  const evaluation = await describeEvaluation({
    manifest: model.manifest,
    dataset,
    runtime: runner.name,
    command,
    metrics,
    parity,
    training: former?.training,
  });
  runner.dispose();
  await writeEvaluation(folder, evaluation);
  return evaluation;
}

async function measureMetrics(options: {
  runner: ModelRunner;
  manifest: ModelManifest;
  dataset: Dataset;
  stream?: ProgressStream;
}): Promise<Metrics> {
  const { runner, manifest, dataset, stream } = options;
  const { classNames, temperature } = manifest;
  const metrics = new MetricsAccumulator({ classNames, temperature });
  const bar = createProgressBar({ total: dataset.test.count, ...(stream === undefined ? {} : { stream }) });
  let done = 0;
  for (const batch of testBatches(manifest.preprocess, dataset, BATCH_SIZE)) {
    const outputs = await runner.run(batch.images, batch.count, [LOGITS_LAYER]);
    metrics.addBatch(await outputs.read(LOGITS_LAYER), batch.labels);
    outputs.release();
    done += batch.count;
    bar.update({ done, parts: [`accuracy ${(metrics.summarize().accuracy * 100).toFixed(2)} %`] });
  }
  bar.end();
  return metrics.summarize();
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
  metrics: Metrics | null;
  parity: readonly ParityRecord[];
  training: TrainingRecord | undefined;
}): Promise<Evaluation> {
  const { manifest, dataset, runtime, command, metrics, parity, training } = options;
  return evaluationSchema.parse({
    formatVersion: 1,
    modelId: manifest.modelId,
    createdAt: new Date().toISOString(),
    dataset: { name: dataset.name, split: 'test', sha256: dataset.sha256 },
    runtime,
    hardware: describeHardware(),
    commit: await readCommit(),
    command,
    metrics,
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
