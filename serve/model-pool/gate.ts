/**
 * Who wants to pass waits while the gate is closed, but not for long: then it is told to come again. Closed by one at a
 * time, who may wait for those inside to leave.
 *
 * On Workers work can stop for good with the request that began it: a gate that is closed for too long counts as open.
 */
import { ProductError } from '../../shared/errors.ts';

export interface Gate {
  readonly isClosed: boolean;
  /** Settles, at once if it is open, with the gate open. Errors: 'server/not-ready' when that takes too long. */
  pass(): Promise<void>;
  /**
   * Close it for as long as `work` takes, which may `drain`: wait until a condition is true. Who passed before may still
   * come in between the end of draining and the next line: look again.
   *
   * Errors   those of `work`; 'server/not-ready' when draining takes too long
   */
  close<Result>(work: (drain: (isEmpty: () => boolean) => Promise<void>) => Promise<Result>): Promise<Result>;
  /**
   * Settles when a condition is true; it is looked at again with each `recheck()`.
   *
   * Errors   'server/not-ready' with `message` when that takes longer than `limitMs`
   */
  until(isTrue: () => boolean, options: { limitMs: number; message: string }): Promise<void>;
  /** Somebody has left, or a load has ended. */
  recheck(): void;
}

/** What a caller waits for at most: many times the load of a model, which a busy machine or a far store can stretch. */
export const PASS_LIMIT_MS = 20_000;
/** Longer than most answers take; evaluations of many pictures can take longer. */
const DRAIN_LIMIT_MS = 2000;
const OVERDUE_MS = 30_000;

export function createGate(): Gate {
  let closed: { opened: Promise<void>; sinceMs: number } | undefined;
  let rechecks: (() => void)[] = [];

  function findClosed(): typeof closed {
    if (closed !== undefined && Date.now() - closed.sinceMs > OVERDUE_MS) closed = undefined;
    return closed;
  }

  async function pass(): Promise<void> {
    const deadlineMs = Date.now() + PASS_LIMIT_MS;
    for (let current = findClosed(); current !== undefined; current = findClosed()) {
      if (await isLate(current.opened, deadlineMs - Date.now())) {
        throw new ProductError('server/not-ready', 'a model is being replaced by another one; try again in a moment');
      }
    }
  }

  const until: Gate['until'] = async (isTrue, { limitMs, message }) => {
    const deadlineMs = Date.now() + limitMs;
    while (!isTrue()) {
      const { promise, resolve } = Promise.withResolvers<void>();
      rechecks.push(resolve);
      if (await isLate(promise, deadlineMs - Date.now())) throw new ProductError('server/not-ready', message);
    }
  };

  function drain(isEmpty: () => boolean): Promise<void> {
    return until(isEmpty, {
      limitMs: DRAIN_LIMIT_MS,
      message: `a model is to be replaced by another one, and is still in use after ${DRAIN_LIMIT_MS / 1000} s; that is tried again`,
    });
  }

  return {
    get isClosed() {
      return findClosed() !== undefined;
    },
    pass,
    until,
    async close(work) {
      while (findClosed() !== undefined) await pass();
      const { promise: opened, resolve } = Promise.withResolvers<void>();
      const own = { opened, sinceMs: Date.now() };
      closed = own;
      try {
        return await work(drain);
      } finally {
        if (closed === own) closed = undefined;
        resolve();
      }
    },
    recheck() {
      const waiting = rechecks;
      rechecks = [];
      for (const resolve of waiting) resolve();
    },
  };
}

/** Whether `work` takes longer than `limitMs`. */
async function isLate(work: Promise<void>, limitMs: number): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(true), Math.max(0, limitMs));
  const isOver = await Promise.race([work.then(() => false), late]);
  clearTimeout(timer);
  return isOver;
}
