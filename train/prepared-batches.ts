/**
 * Training batches that are made in a thread of their own while the engine computes: the same ones, bit for bit, as
 * `trainingBatches` makes.
 */
import { Worker } from 'node:worker_threads';
import type { TrainingBatch, TrainingBatchOptions } from './batches.ts';
import type { LabelledImages } from './dataset.ts';

/** Batches that are made ahead of the one that is computed. */
const LOOKAHEAD = 2;

/** An epoch, in what can be sent to a thread. */
export interface EpochOptions extends Omit<TrainingBatchOptions, 'random' | 'images'> {
  /** The generator is `createRandom(seed).fork(...keys)`. */
  seed: number;
  keys: readonly string[];
}

/** What the thread is sent. */
export type BatchRequest =
  | { kind: 'images'; images: LabelledImages }
  | { kind: 'epoch'; epoch: EpochOptions }
  | { kind: 'batch'; epochId: number };

/** What it answers to each `batch`. */
export interface BatchReply {
  epochId: number;
  /** Null behind the last one. */
  batch: TrainingBatch | null;
}

interface Waiting {
  resolve: (reply: BatchReply) => void;
  reject: (error: unknown) => void;
}

/** Owns the thread, which starts with the first epoch and ends with `close`. One epoch at a time. */
export class PreparedBatches {
  #worker: Worker | undefined;
  /** What the thread has a copy of. */
  #images: LabelledImages | undefined;
  #epochId = 0;
  #replies: BatchReply[] = [];
  #waiting: Waiting | undefined;
  #failure: { error: unknown } | undefined;

  /** The batches of an epoch. To start another one ends this one. Errors: what the making of a batch throws. */
  async *run(images: LabelledImages, epoch: EpochOptions): AsyncGenerator<TrainingBatch, void, undefined> {
    const worker = (this.#worker ??= this.#start());
    const epochId = ++this.#epochId;
    this.#replies = [];
    const send = (request: BatchRequest): void => worker.postMessage(request, []);
    if (this.#images !== images) send({ kind: 'images', images });
    this.#images = images;
    send({ kind: 'epoch', epoch });
    for (let count = 0; count < LOOKAHEAD; count++) send({ kind: 'batch', epochId });
    for (;;) {
      const { batch } = await this.#nextReply();
      if (batch === null) return;
      send({ kind: 'batch', epochId });
      yield batch;
    }
  }

  async close(): Promise<void> {
    await this.#worker?.terminate();
    this.#worker = undefined;
    this.#images = undefined;
  }

  #nextReply(): Promise<BatchReply> {
    const reply = this.#replies.shift();
    if (reply !== undefined) return Promise.resolve(reply);
    return new Promise((resolve, reject) => {
      if (this.#failure === undefined) this.#waiting = { resolve, reject };
      else reject(this.#failure.error);
    });
  }

  #start(): Worker {
    // Of the flags of this process, a thread takes only some; it needs none.
    const worker = new Worker(new URL('batch-worker.ts', import.meta.url), { execArgv: [] });
    this.#failure = undefined;
    worker.on('message', (reply: BatchReply) => {
      // Made for an epoch that nobody wants any more.
      if (reply.epochId !== this.#epochId) return;
      const waiting = this.#waiting;
      this.#waiting = undefined;
      if (waiting === undefined) this.#replies.push(reply);
      else waiting.resolve(reply);
    });
    worker.on('error', (error) => {
      this.#failure = { error };
      this.#waiting?.reject(error);
      this.#waiting = undefined;
    });
    return worker;
  }
}
