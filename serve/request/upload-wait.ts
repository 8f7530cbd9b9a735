/**
 * How long a server waits for a caller's body: all waits of one request together, without the time in which the server
 * itself is at work. So a large upload over a slow line has its time, and one that trickles ends.
 */
import { createMiddleware } from 'hono/factory';
import { ProductError } from '../../shared/errors.ts';

/** 32 MiB at 280 kB/s; an 8 MiB picture at 70 kB/s. */
export const DEFAULT_UPLOAD_WAIT_MS = 120_000;

/** By request: what is left. */
const waits = new WeakMap<object, { maxMs: number; waitedMs: number }>();

/** Around every request. */
export const limitUploadWait = (maxMs: number) =>
  createMiddleware(async (context, next) => {
    waits.set(context.req.raw, { maxMs, waitedMs: 0 });
    await next();
  });

/** One read of a request's body. Errors: 'request/timeout', and those of `read`. */
export async function waitForCaller<Result>(request: object, read: () => Promise<Result>): Promise<Result> {
  const wait = waits.get(request);
  if (wait === undefined) return read();
  const startedMs = performance.now();
  let timer: ReturnType<typeof setTimeout> | null = null;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(tooLate(wait.maxMs)), Math.max(0, wait.maxMs - wait.waitedMs));
  });
  try {
    return await Promise.race([read(), late]);
  } finally {
    if (timer !== null) clearTimeout(timer);
    wait.waitedMs += performance.now() - startedMs;
  }
}

function tooLate(maxMs: number): ProductError {
  return new ProductError(
    'request/timeout',
    `waited ${maxMs / 1000} s for the body, and it is not complete; send it again over a faster line, or send less`,
    { details: { maxMs } },
  );
}
