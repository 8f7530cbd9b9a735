/** What the pool knows of its threads, and of what they work on. */
import type { Worker } from 'node:worker_threads';
import type { LoadedModelParts } from '../../inference/loaded-model.ts';
import type { ModelResult, ModelTask } from '../../inference/classifier.ts';

const FIRST_RESTART_MS = 1000;
const LONGEST_RESTART_MS = 30_000;

export interface PooledModel {
  number: number;
  folder: string;
  modelId: string;
  loadedIn: Set<Seat>;
  /** Threads that could not load it, though another one could; they try again. */
  refusedBy: Map<Seat, Refusal>;
  /** Whether one thread is enough to begin with. */
  isFirst: boolean;
  /** Until it is settled. */
  loading: PromiseWithResolvers<LoadedModelParts> | undefined;
  parts: LoadedModelParts | undefined;
}

export interface Refusal {
  times: number;
  /** Until it is tried again. */
  rest: NodeJS.Timeout | undefined;
}

export interface Job {
  model: PooledModel;
  task: ModelTask;
  queuedMs: number;
  /** Not the first run of its caller. */
  isLater: boolean;
  /** Aborted when its caller has left. */
  signal: AbortSignal | undefined;
  /** A thread died that was given several: whichever it died of, it is not to take others with it again. */
  isAlone: boolean;
  /** Of the request, waiting included; absent when it is answered. */
  deadline: NodeJS.Timeout | undefined;
  resolve: (result: ModelResult) => void;
  reject: (error: unknown) => void;
}

/** What a thread does now: it runs jobs, one after the other, or loads a model. */
export interface Work {
  jobs: readonly Job[];
  loads?: PooledModel;
  startedMs: number;
  /** Of the runs. */
  limit?: NodeJS.Timeout;
}

/** The place of a thread; threads come and go. */
export interface Seat {
  worker: Worker | undefined;
  isStarted: boolean;
  work: Work | undefined;
  /** Why its thread ends, once that is known: from then on it is not listened to and given nothing. */
  cause: unknown;
  /** Deaths since it last did something. */
  deaths: number;
  restart: NodeJS.Timeout | undefined;
}

export function stopClock(job: Job): void {
  clearTimeout(job.deadline);
  job.deadline = undefined;
}

/** A thread that died, or could not load, so many times is tried again so much later. */
export function findRestartDelay(times: number): number {
  return times === 0 ? 0 : Math.min(FIRST_RESTART_MS * 2 ** (times - 1), LONGEST_RESTART_MS);
}
