/** The thread of `prepared-batches.ts`: makes one batch for each request, in order, and hands its memory over. */
import { parentPort } from 'node:worker_threads';
import { trainingBatches } from './batches.ts';
import type { TrainingBatch } from './batches.ts';
import type { BatchReply, BatchRequest } from './prepared-batches.ts';
import { createRandom } from './random.ts';
import type { LabelledImages } from './dataset.ts';

let images: LabelledImages | undefined;
let batches: Iterator<TrainingBatch> | undefined;

function answer(request: BatchRequest): void {
  if (request.kind === 'images') {
    images = request.images;
  } else if (request.kind === 'epoch') {
    if (images === undefined) throw new Error('internal: an epoch before its images');
    const { seed, keys, ...options } = request.epoch;
    batches = trainingBatches({ ...options, images, random: createRandom(seed).fork(...keys) });
  } else {
    const next = batches?.next();
    const batch = next === undefined || next.done === true ? null : next.value;
    const reply: BatchReply = { epochId: request.epochId, batch };
    const arrays = batch === null ? [] : [batch.images, batch.labels, batch.indices, batch.weights];
    parentPort?.postMessage(
      reply,
      arrays.flatMap((array) => (array === undefined ? [] : [array.buffer])),
    );
  }
}

parentPort?.on('message', answer);
