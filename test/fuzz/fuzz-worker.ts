/**
 * The thread that is fuzzed. Inputs go to it in a few lanes, as a server has several requests at once. Each lane writes
 * the index of its input into shared memory, so that the one who watches can name the input that never ended.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { startFuzzedServer } from './fuzzed-server.ts';
import { IDLE, type FuzzEvent, type FuzzPlan } from './fuzz-plan.ts';
import { watchMemory } from './memory-watch.ts';
import { openRunner } from './run-inputs.ts';

const { seed, from, count, blockInputs, lanes: sharedLanes } = workerData as FuzzPlan;
const lanes = new Float64Array(sharedLanes);

function tell(event: FuzzEvent): void {
  parentPort?.postMessage(event, []);
}

const sampleMemory = watchMemory();
const server = await startFuzzedServer();
const runner = await openRunner(server, { seed });
tell({ type: 'started' });
for (let start = from; start < from + count; start += blockInputs) {
  const end = Math.min(start + blockInputs, from + count);
  await runBlock(start, end);
  lanes[0] = end - 1;
  const finding = await runner.checkLife(end - 1);
  if (finding !== undefined) tell({ type: 'finding', finding });
  lanes[0] = IDLE;
  // What waits behind the answers happens.
  await sleep(0);
  globalThis.gc?.();
  tell({ type: 'block', done: end - from, memory: await sampleMemory() });
}
await server.end();
tell({ type: 'end', statuses: runner.statuses });

/** Indices from `start` to `end` - 1; each lane takes the next one. */
async function runBlock(start: number, end: number): Promise<void> {
  const indices = Array.from({ length: end - start }, (_, place) => start + place).values();
  await Promise.all(Array.from(lanes, (_, lane) => runLane(lane, indices)));
}

async function runLane(lane: number, indices: Iterable<number>): Promise<void> {
  for (const index of indices) {
    lanes[lane] = index;
    const finding = await runner.run(index);
    if (finding !== undefined) tell({ type: 'finding', finding });
  }
  lanes[lane] = IDLE;
}
