/**
 * Work that many requests wait for and that runs once at a time. On Workers work belongs to the request that began it: if
 * that one is ended by the platform, the work never settles. So whoever waits keeps its own request alive, and work that
 * is overdue is given up: the next who comes begins it again.
 */

/** Told of work that must go on when the request ends that began it. */
export type KeepAlive = (work: Promise<unknown>) => void;

export interface SharedTask<Result> {
  /** The result of the work that runs, or of new work. A failure is told to all who wait for it, and to nobody later. */
  join(keepAlive: KeepAlive): Promise<Result>;
}

/** Longer than any load that is worth waiting for. */
const OVERDUE_MS = 60_000;

export function createSharedTask<Result>(work: () => Promise<Result>): SharedTask<Result> {
  let running: { promise: Promise<Result>; startedMs: number } | undefined;

  function begin(): Promise<Result> {
    const promise = work().finally(() => {
      if (running?.promise === promise) running = undefined;
    });
    running = { promise, startedMs: Date.now() };
    return promise;
  }

  return {
    join(keepAlive) {
      const isRunning = running !== undefined && Date.now() - running.startedMs < OVERDUE_MS;
      const promise = isRunning && running !== undefined ? running.promise : begin();
      keepAlive(promise.catch(() => undefined));
      return promise;
    },
  };
}
