/** How old a pointer may be before a request makes the server look at the store again: a setting of the operator. */
import { ProductError } from '../shared/errors.ts';

export const DEFAULT_POINTER_TTL_MS = 5000;

/** Errors: 'server/pointer-ttl'. */
export function parsePointerTtl(text: string | undefined): number {
  if (text === undefined || text === '') return DEFAULT_POINTER_TTL_MS;
  if (/^\d{1,8}$/.test(text)) return Number(text);
  throw new ProductError(
    'server/pointer-ttl',
    `POINTER_TTL_MS is "${text}"; a whole number of milliseconds is expected, such as ${DEFAULT_POINTER_TTL_MS}`,
  );
}
