/** What the thread that is fuzzed and the one that watches it tell each other. */
import type { MemorySample } from './memory-watch.ts';
import type { Finding } from './run-inputs.ts';

export interface FuzzPlan {
  seed: number;
  /** Indices from here on, and how many. */
  from: number;
  count: number;
  /** Inputs between two looks at the server's life and memory. */
  blockInputs: number;
  /** A float64 for each lane: the index of its input, or IDLE. */
  lanes: SharedArrayBuffer;
}

export const IDLE = -1;

export type FuzzEvent =
  | { type: 'started' }
  | { type: 'finding'; finding: Finding }
  | { type: 'block'; done: number; memory: MemorySample }
  | { type: 'end'; statuses: ReadonlyMap<number, number> };
