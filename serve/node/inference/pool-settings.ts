/** The operator's settings of the inference threads: THREADS, QUEUE_LIMIT and REQUEST_TIMEOUT_MS. */
import { availableParallelism } from 'node:os';
import { ProductError } from '../../../shared/errors.ts';

export interface PoolSettings {
  threads: number;
  /** Requests that may wait for a thread. */
  queueLimit: number;
  /** Longest time that a request's runs may take together, waiting included. */
  timeoutMs: number;
}

const MOST_THREADS = 256;
/** At some 10 ms for a picture a request waits a third of a second behind so many. */
const QUEUE_FOR_EACH_THREAD = 32;
const DEFAULT_TIMEOUT_MS = 30_000;

/** Errors: 'server/setting'. */
export function readPoolSettings(environment: Readonly<Record<string, string | undefined>>): PoolSettings {
  const read = (name: string, fallback: number, { min, max }: { min: number; max: number }): number => {
    const text = environment[name];
    if (text === undefined || text === '') return fallback;
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new ProductError('server/setting', `${name} is "${text}"; a whole number from ${min} to ${max} is expected`);
  };
  const threads = read('THREADS', Math.min(availableParallelism(), MOST_THREADS), { min: 1, max: MOST_THREADS });
  return {
    threads,
    queueLimit: read('QUEUE_LIMIT', threads * QUEUE_FOR_EACH_THREAD, { min: 0, max: 100_000 }),
    timeoutMs: read('REQUEST_TIMEOUT_MS', DEFAULT_TIMEOUT_MS, { min: 1, max: 3_600_000 }),
  };
}
