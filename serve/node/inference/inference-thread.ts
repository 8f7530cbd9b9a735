/** A thread that runs models: an engine of its own, its own copy of each model. Started by inference-pool.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { ProductError } from '../../../shared/errors.ts';
import { createImageDecoder } from '../../../shared/image/decode.ts';
import { runTask, type ModelTask } from '../../inference/classifier.ts';
import type { LoadedModel } from '../../inference/loaded-model.ts';
import { loadModel } from '../../inference/model-loader.ts';
import { startEngine } from '../../inference/served-engine.ts';
import { readFolder } from '../asset-folder.ts';
import { NODE_ZLIB } from '../zlib-at-once.ts';
import {
  LONGEST_SHARE_MS,
  type Refused,
  type RunOutcome,
  type ThreadAnswer,
  type ThreadOrder,
  type ThreadSettings,
} from './thread-message.ts';

if (parentPort === null) throw new Error('internal: inference-thread.ts is no program of its own');
const port = parentPort;
const { engine: build, jpeg, webp, mode } = workerData as ThreadSettings;
const decoder = createImageDecoder({ jpeg, webp, zlib: NODE_ZLIB });
const engine = await startEngine(build, mode);
const models = new Map<number, LoadedModel>();

let last = Promise.resolve();

port.on('message', (order: ThreadOrder) => {
  // A run waits for its picture: a model must not be freed meanwhile. What is thrown here ends the thread.
  last = last.then(() => answer(order));
});
send({ kind: 'started' });

async function answer(order: ThreadOrder): Promise<void> {
  try {
    if (order.kind === 'load') await load(order);
    else if (order.kind === 'run') await run(order);
    else {
      models.get(order.model)?.dispose();
      models.delete(order.model);
    }
  } catch (error) {
    send(refuse(error));
  }
}

/** Errors: all but a ProductError. */
function refuse(error: unknown): Refused {
  if (!(error instanceof ProductError)) throw error;
  const { code, message, details } = error;
  return { kind: 'refused', code, message, details };
}

async function load({ model, folder, modelId }: ThreadOrder & { kind: 'load' }): Promise<void> {
  const loaded = await loadModel(readFolder(folder), modelId, engine);
  models.set(model, loaded);
  const { manifest, computation, linear } = loaded;
  send({ kind: 'loaded', parts: { manifest, computation, linear } });
}

async function run({ runs }: ThreadOrder & { kind: 'run' }): Promise<void> {
  const orderedMs = performance.now();
  const outcomes: RunOutcome[] = [];
  for (const each of runs) {
    if (outcomes.length > 0 && performance.now() - orderedMs > LONGEST_SHARE_MS) break;
    outcomes.push(await runOne(each, orderedMs).catch(refuse));
  }
  // Handed over, not copied: the engine made these arrays for the caller.
  const values = outcomes.flatMap((outcome) => (outcome.kind === 'result' ? outcome.result.values : []));
  send({ kind: 'done', outcomes }, [...new Set(values.map(({ buffer }) => buffer as ArrayBuffer))]);
}

async function runOne(
  { model: number, task }: { model: number; task: ModelTask },
  orderedMs: number,
): Promise<RunOutcome> {
  const model = models.get(number);
  if (model === undefined) throw new Error(`internal: the thread has no model ${number}`);
  const startMs = performance.now();
  const result = await runTask(task, { model, decoder, zlib: NODE_ZLIB });
  return { kind: 'result', result, waitMs: startMs - orderedMs, computeMs: performance.now() - startMs };
}

function send(message: ThreadAnswer, transfer: readonly ArrayBuffer[] = []): void {
  port.postMessage(message, transfer);
}
