/** Why the inference threads do not answer a request. */
import { ProductError } from '../../../shared/errors.ts';
import type { ThreadAnswer } from './thread-message.ts';

/** What a thread refused, as it was there. */
export function toError({ code, message, details }: ThreadAnswer & { kind: 'refused' }): ProductError {
  return new ProductError(code, message, { details });
}

export function tooManyWait(queueLimit: number): ProductError {
  return new ProductError('server/busy', `${queueLimit} requests wait already, and no more do; try again in a moment`, {
    details: { queueLimit },
  });
}

export function timeIsOver(timeoutMs: number): ProductError {
  return new ProductError(
    'server/timeout',
    `the answer took longer than ${timeoutMs} ms, the most that this server works on one; try again later, or ask for less`,
    { details: { timeoutMs } },
  );
}
