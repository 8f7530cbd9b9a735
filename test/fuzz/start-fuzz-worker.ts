/** The thread that is fuzzed, and whose own threads tell of their memory too. */
import { Worker } from 'node:worker_threads';
import type { FuzzPlan } from './fuzz-plan.ts';

export function startFuzzWorker(plan: FuzzPlan): Worker {
  return new Worker(new URL('fuzz-worker.ts', import.meta.url), {
    workerData: plan,
    execArgv: ['--import', new URL('wasm-holdings.ts', import.meta.url).href],
    // Most of what a request leaves is young: this spares a third of the time.
    resourceLimits: { maxYoungGenerationSizeMb: 96 },
  });
}
