/** Doing a thing again that the network or a busy server refused. */
import { ProductError } from '../../shared/errors.ts';

export const TRIES = 4;
const FIRST_WAIT_MS = 200;

/**
 * Call `work` until it does not throw, up to {@link TRIES} times with longer and longer waits. It is told whether an
 * earlier call may have done the work without saying so. A `ProductError` is final; the last error is thrown.
 */
export async function repeat<T>(work: (isRepeated: boolean) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work(attempt > 1);
    } catch (error) {
      if (error instanceof ProductError || attempt === TRIES) throw error;
    }
    // Not all at the same time again.
    const waitMs = FIRST_WAIT_MS * 2 ** (attempt - 1) * (0.5 + Math.random());
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}
