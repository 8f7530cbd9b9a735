/**
 * Threads that run models, so that the thread that answers is always free. Each has an engine and its own copy of every
 * model in use. A request waits in one queue for all of them; where many wait, a thread is given several. One that dies
 * fails the one request that it died of, and another takes its place.
 */
import { Worker } from 'node:worker_threads';
import { ProductError } from '../../../shared/errors.ts';
import {
  callerLeft,
  type ModelResult,
  type ModelRunner,
  type ModelTask,
  type Turn,
} from '../../inference/classifier.ts';
import type { LoadedModelParts } from '../../inference/loaded-model.ts';
import type { InferenceMeter, InferenceReading, MeasuredRun } from './inference-meter.ts';
import { timeIsOver, toError, tooManyWait } from './pool-errors.ts';
import type { PoolSettings } from './pool-settings.ts';
import {
  countBytes,
  LONGEST_SHARE_MS,
  packTask,
  type RunOutcome,
  type ThreadAnswer,
  type ThreadOrder,
  type ThreadSettings,
} from './thread-message.ts';
import { findRestartDelay, stopClock, type Job, type PooledModel, type Refusal, type Seat, type Work } from './seat.ts';
import { createTurnQueue } from './turn-queue.ts';

export interface InferencePool {
  /** Begin to start the first thread; a load does so, too. */
  start(): void;
  /**
   * Load a model into every thread, at most half of them at a time, so that the others answer. Settles when all have it;
   * where the pool has no model yet, when the first has it: then there is somebody to answer.
   *
   * Memory   the model's weights once for each thread, until `dispose`
   * Errors   those of the model loader; 'server/lost' when a thread died of it
   */
  load(folder: string, modelId: string): Promise<ModelRunner>;
  readonly meter: InferenceMeter;
  /** End all threads. Runs that wait or go on fail. */
  close(): Promise<void>;
}

export interface InferencePoolOptions extends PoolSettings {
  thread: ThreadSettings;
  /** Told of threads that died, and of models that one of them could not load. */
  reportError: (error: unknown) => void;
}

const THREAD_FILE = new URL('./inference-thread.ts', import.meta.url);
/** Runs that a thread is given at once, and bytes of their pictures with which it is given no more of them. */
const MOST_RUNS = 8;
const MANY_BYTES = 256 * 1024;

export function createInferencePool(options: InferencePoolOptions): InferencePool {
  const { threads, queueLimit, timeoutMs, thread: settings, reportError } = options;
  const mostLoading = Math.max(1, Math.floor(threads / 2));
  const seats: Seat[] = Array.from({ length: threads }, () => ({
    worker: undefined,
    isStarted: false,
    work: undefined,
    cause: undefined,
    deaths: 0,
    restart: undefined,
  }));
  const models = new Set<PooledModel>();
  const queue = createTurnQueue<Job>();
  const listeners = new Set<(run: MeasuredRun) => void>();
  const counts = { runs: 0, refused: 0, timedOut: 0, abandoned: 0, lostThreads: 0 };
  let lastNumber = 0;
  let isClosed = false;

  function startThread(seat: Seat): void {
    if (isClosed || seat.worker !== undefined) return;
    clearTimeout(seat.restart);
    const worker = new Worker(THREAD_FILE, { workerData: settings });
    worker.on('message', (answer: ThreadAnswer) => hear(seat, answer));
    worker.on('error', (error) => (seat.cause = error));
    worker.on('exit', (status) => bury(seat, seat.cause ?? new Error(`it ended with status ${status}`)));
    // The server's socket keeps the process alive, not its threads.
    worker.unref();
    Object.assign(seat, { worker, cause: undefined, restart: undefined });
  }

  function order(seat: Seat, message: ThreadOrder): void {
    // A copy of the task: its arrays are the caller's.
    seat.worker?.postMessage(message);
  }

  function hear(seat: Seat, answer: ThreadAnswer): void {
    // What goes on while the pool is closed fails.
    if (seat.cause !== undefined || isClosed) return;
    const { work } = seat;
    seat.work = undefined;
    clearTimeout(work?.limit);
    if (answer.kind === 'started') seat.isStarted = true;
    else if (work === undefined) throw new Error('internal: a thread answers what nobody asked');
    else if (work.loads !== undefined) hearOfLoad(seat, work.loads, answer);
    else hearOfRuns(work, answer);
    if (answer.kind === 'done' || answer.kind === 'loaded') seat.deaths = 0;
    dispatch();
  }

  function hearOfLoad(seat: Seat, model: PooledModel, answer: ThreadAnswer): void {
    // It may have been given up meanwhile.
    const isWanted = models.has(model);
    if (answer.kind === 'refused') {
      if (model.loading !== undefined) giveUp(model, toError(answer));
      else if (isWanted) putOff(seat, model, toError(answer));
      return;
    }
    if (answer.kind !== 'loaded') throw new Error('internal: a thread that loads says something else');
    if (!isWanted) return order(seat, { kind: 'free', model: model.number });
    model.loadedIn.add(seat);
    model.refusedBy.delete(seat);
    model.parts ??= answer.parts;
    settleIfLoaded(model);
  }

  /** Other threads have this model: what this one lacks may come back. Told once. */
  function putOff(seat: Seat, model: PooledModel, error: ProductError): void {
    const times = (model.refusedBy.get(seat)?.times ?? 0) + 1;
    if (times === 1) reportError(error);
    const refusal: Refusal = { times, rest: undefined };
    refusal.rest = setTimeout(() => {
      refusal.rest = undefined;
      dispatch();
    }, findRestartDelay(times)).unref();
    model.refusedBy.set(seat, refusal);
  }

  function settleIfLoaded(model: PooledModel): void {
    const { parts, loading } = model;
    if (parts === undefined || loading === undefined) return;
    const isEverywhere = seats.every((seat) => !seat.isStarted || model.loadedIn.has(seat));
    if (!model.isFirst && !isEverywhere) return;
    model.loading = undefined;
    loading.resolve(parts);
    // Not earlier: the first thread has the machine for itself until it can answer.
    for (const seat of seats) if (seat.restart === undefined) startThread(seat);
  }

  function giveUp(model: PooledModel, error: unknown): void {
    model.loading?.reject(error);
    model.loading = undefined;
    remove(model);
  }

  function remove(model: PooledModel): void {
    if (!models.delete(model)) return;
    for (const { rest } of model.refusedBy.values()) clearTimeout(rest);
    for (const seat of model.loadedIn) order(seat, { kind: 'free', model: model.number });
  }

  function hearOfRuns({ jobs, startedMs }: Work, answer: ThreadAnswer): void {
    if (answer.kind !== 'done') throw new Error('internal: a thread that runs says something else');
    const begun = answer.outcomes.length;
    // The last one first: each is put before all others.
    for (const job of jobs.slice(begun).toReversed()) putBack(job);
    jobs.slice(0, begun).forEach((job, index) => {
      const outcome = answer.outcomes[index];
      if (outcome !== undefined) hearOfRun(job, outcome, startedMs);
    });
  }

  function hearOfRun(job: Job, outcome: RunOutcome, startedMs: number): void {
    stopClock(job);
    if (outcome.kind === 'refused') return job.reject(toError(outcome));
    const measured: MeasuredRun = {
      waitSeconds: (startedMs + outcome.waitMs - job.queuedMs) / 1000,
      computeSeconds: outcome.computeMs / 1000,
      hasLayers: job.task.layers.length > 0,
    };
    counts.runs += 1;
    for (const listener of listeners) listener(measured);
    job.resolve(outcome.result);
  }

  /** A thread has ended. */
  function bury(seat: Seat, cause: unknown): void {
    const { work, isStarted } = seat;
    Object.assign(seat, { worker: undefined, isStarted: false, work: undefined });
    clearTimeout(work?.limit);
    for (const { loadedIn } of models) loadedIn.delete(seat);
    const error = new ProductError(
      'server/lost',
      'the thread that worked on this died, and another takes its place; send the request again; the operator finds the reason in the log',
      { cause },
    );
    const { jobs = [] } = work ?? {};
    const isOfOne = isClosed || jobs.length === 1;
    for (const job of jobs.toReversed()) {
      if (isOfOne) {
        stopClock(job);
        job.reject(error);
      } else {
        job.isAlone = true;
        putBack(job);
      }
    }
    if (isClosed) return;
    counts.lostThreads += 1;
    reportError(new Error('a thread that runs models died; another takes its place', { cause }));
    const isAlone = !seats.some((each) => each.isStarted);
    for (const model of models) {
      if (model.loading === undefined) continue;
      // A thread that cannot even start is no reason to wait for it.
      if (model === work?.loads || (!isStarted && isAlone)) giveUp(model, error);
      else settleIfLoaded(model);
    }
    seat.deaths += 1;
    seat.restart = setTimeout(() => startThread(seat), findRestartDelay(seat.deaths - 1)).unref();
    dispatch();
  }

  /** One of several that a thread was given, and did not do. */
  function putBack(job: Job): void {
    // Its time may have been over.
    if (job.deadline === undefined) return;
    // The model of a caller that left may have been freed.
    if (job.signal?.aborted === true) drop(job, 'abandoned', callerLeft());
    else queue.putBack(job, job.isLater);
  }

  function drop(job: Job, count: 'abandoned' | 'refused', error: ProductError): void {
    stopClock(job);
    counts[count] += 1;
    job.reject(error);
  }

  /** Give every thread that is free something to do. */
  function dispatch(): void {
    for (const seat of seats) if (seat.isStarted && seat.work === undefined) assign(seat);
  }

  function assign(seat: Seat): void {
    const startedMs = performance.now();
    const missing = [...models].find(
      ({ loadedIn, refusedBy }) => !loadedIn.has(seat) && refusedBy.get(seat)?.rest === undefined,
    );
    if (missing !== undefined && countLoading() < mostLoading) {
      seat.work = { jobs: [], loads: missing, startedMs };
      const { number: model, folder, modelId } = missing;
      return order(seat, { kind: 'load', model, folder, modelId });
    }
    const jobs = takeJobs(seat);
    if (jobs.length === 0) return;
    const longestMs = timeoutMs + (jobs.length > 1 ? LONGEST_SHARE_MS : 0);
    const limit = setTimeout(() => afterAnswers(() => endStuck(seat, jobs)), longestMs).unref();
    seat.work = { jobs, startedMs, limit };
    order(seat, { kind: 'run', runs: jobs.map(({ model, task }) => ({ model: model.number, task: packTask(task) })) });
  }

  /**
   * Its share of those that wait: to be woken for each single answer costs this thread, whose data others have driven out
   * of the caches meanwhile, many times the work on it.
   */
  function takeJobs(seat: Seat): Job[] {
    const most = Math.min(MOST_RUNS, Math.ceil(queue.waiting.first / threads));
    const jobs: Job[] = [];
    let bytes = 0;
    for (;;) {
      const job = queue.take(({ model, isAlone }) => model.loadedIn.has(seat) && (jobs.length === 0 || !isAlone));
      if (job === undefined) return jobs;
      jobs.push(job);
      bytes += countBytes(job.task);
      // Pictures that it gives back are sent again.
      if (job.isAlone || jobs.length >= most || bytes >= MANY_BYTES) return jobs;
    }
  }

  function countLoading(): number {
    return seats.filter(({ work }) => work?.loads !== undefined).length;
  }

  /**
   * A run that takes longer than any request may does not end by itself. One whose request has less time left, since it
   * waited, goes on without it: the thread is healthy.
   */
  function endStuck(seat: Seat, jobs: readonly Job[]): void {
    if (seat.work?.jobs !== jobs) return;
    jobs.forEach(expire);
    seat.cause = timeIsOver(timeoutMs);
    void seat.worker?.terminate();
  }

  /** The time of a request is over. */
  function expire(job: Job): void {
    if (job.deadline === undefined) return;
    stopClock(job);
    queue.remove(job);
    counts.timedOut += 1;
    job.reject(timeIsOver(timeoutMs));
  }

  function run(model: PooledModel, task: ModelTask, { signal, isLater, spentMs }: Turn): Promise<ModelResult> {
    if (signal?.aborted === true) return Promise.reject(callerLeft());
    if (isClosed || !models.has(model)) return Promise.reject(new Error('internal: the model is freed'));
    const { promise, resolve, reject } = Promise.withResolvers<ModelResult>();
    const queuedMs = performance.now();
    const job: Job = {
      ...{ model, task, queuedMs, isLater, signal, isAlone: false, deadline: undefined },
      ...{ resolve, reject },
    };
    const dropWith = (count: 'abandoned' | 'refused', error: ProductError): void => {
      // What a thread has begun, it ends.
      if (queue.remove(job)) drop(job, count, error);
    };
    job.deadline = setTimeout(() => afterAnswers(() => expire(job)), Math.max(0, timeoutMs - spentMs)).unref();
    queue.add(job, isLater);
    dispatch();
    if (!isLater && queue.waiting.first > queueLimit) {
      dropWith('refused', tooManyWait(queueLimit));
      return promise;
    }
    if (signal === undefined) return promise;
    const leave = (): void => dropWith('abandoned', callerLeft());
    signal.addEventListener('abort', leave, { once: true });
    return promise.finally(() => signal.removeEventListener('abort', leave));
  }

  function toRunner(model: PooledModel, parts: LoadedModelParts): ModelRunner {
    return {
      ...parts,
      lanes: threads,
      isReady: () => model.loadedIn.size > 0,
      run: (task, turn) => run(model, task, turn),
      dispose: () => remove(model),
    };
  }

  function read(): InferenceReading {
    const { first: waiting, later: waitingLater } = queue.waiting;
    const busyThreads = seats.filter(({ work }) => work !== undefined).length;
    return { threads, busyThreads, waiting, queueLimit, waitingLater, ...counts };
  }

  function start(): void {
    if (!seats.some(({ worker }) => worker !== undefined)) seats.slice(0, 1).forEach(startThread);
  }

  return {
    start,
    async load(folder, modelId) {
      if (isClosed) throw new Error('internal: the threads have ended');
      lastNumber += 1;
      const loading = Promise.withResolvers<LoadedModelParts>();
      const isFirst = ![...models].some(({ parts }) => parts !== undefined);
      const model: PooledModel = {
        number: lastNumber,
        folder,
        modelId,
        loadedIn: new Set(),
        refusedBy: new Map(),
        isFirst,
        loading,
        parts: undefined,
      };
      models.add(model);
      start();
      dispatch();
      return toRunner(model, await loading.promise);
    },
    meter: {
      read,
      observe(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    async close() {
      isClosed = true;
      seats.forEach(({ restart }) => clearTimeout(restart));
      const ended = new Error('internal: the threads have ended');
      for (let job = queue.take(() => true); job !== undefined; job = queue.take(() => true)) {
        stopClock(job);
        job.reject(ended);
      }
      for (const { loading, refusedBy } of models) {
        loading?.reject(ended);
        for (const { rest } of refusedBy.values()) clearTimeout(rest);
      }
      await Promise.all(seats.flatMap(({ worker }) => worker?.terminate() ?? []));
    },
  };
}

/** What a thread has said already is heard before `act`: while this one computed, timers were late, and answers, too. */
function afterAnswers(act: () => void): void {
  setImmediate(act);
}
