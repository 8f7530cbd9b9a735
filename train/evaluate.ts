/**
 * Measures a network on labelled images in the training engine: every image exactly once, with the moving statistics. One
 * view of it, unless the mirrored view is asked for too.
 */
import type { Metrics } from '../shared/manifest.ts';
import { MetricsAccumulator } from '../shared/metrics.ts';
import { LOGITS_LAYER } from '../shared/resnet.ts';
import type { LayerTable } from '../shared/resnet.ts';
import { evaluationBatches } from './batches.ts';
import type { Batch, BatchSource } from './batches.ts';
import type { Engine } from './engine/engine.ts';
import { runInference } from './network.ts';
import type { TensorsByName } from './network.ts';

export interface EvaluationRequest extends BatchSource {
  engine: Engine;
  table: LayerTable;
  parameters: TensorsByName;
  classNames: readonly string[];
  /** `mirrored`: the logits are the mean of those of the image and of its mirror image. */
  views?: 'one' | 'mirrored';
  /** Called with the answers of each batch: logits [count, classes], labels [count]. */
  onAnswers?: (logits: Float32Array, labels: Uint8Array) => void;
  /** Called after each batch with the number of images done. */
  onProgress?: (images: number) => void;
}

export async function evaluateNetwork(request: EvaluationRequest): Promise<Metrics> {
  const { classNames, onAnswers, onProgress } = request;
  const accumulator = new MetricsAccumulator({ classNames });
  let done = 0;
  for (const batch of evaluationBatches(request)) {
    const values = await computeLogits(request, batch, batch.images);
    if (request.views === 'mirrored') {
      const others = await computeLogits(request, batch, mirror(batch));
      for (const [index, other] of others.entries()) values[index] = ((values[index] ?? 0) + other) / 2;
    }
    accumulator.addBatch(values, batch.labels);
    onAnswers?.(values, batch.labels);
    done += batch.count;
    onProgress?.(done);
  }
  return accumulator.summarize();
}

async function computeLogits(
  { engine, table, parameters }: EvaluationRequest,
  { count, imageShape }: Batch,
  values: Float32Array<ArrayBuffer>,
): Promise<Float32Array<ArrayBuffer>> {
  const images = engine.upload(values, [count, ...imageShape]);
  const logits = runInference(engine, table, parameters, images).get(LOGITS_LAYER);
  if (logits === undefined) throw new Error('internal: inference returned no logits');
  const answers = await engine.download(logits);
  engine.dispose(logits);
  engine.dispose(images);
  return answers;
}

/** Left and right exchanged; [count, height, width, channels] */
function mirror({ images, imageShape: [, width, channels] }: Batch): Float32Array<ArrayBuffer> {
  const mirrored = new Float32Array(images.length);
  const rowSize = width * channels;
  for (let row = 0; row < images.length; row += rowSize) {
    for (let x = 0; x < width; x++) {
      const from = row + (width - 1 - x) * channels;
      mirrored.set(images.subarray(from, from + channels), row + x * channels);
    }
  }
  return mirrored;
}
