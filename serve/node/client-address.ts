/** Who asks, for the rate limit: the address of the connection, or what the operator's own proxy says. */
import { getConnInfo } from '@hono/node-server/conninfo';
import type { Context } from 'hono';
import { ProductError } from '../../shared/errors.ts';

/** The operator's setting CLIENT_ADDRESS_HEADER. Errors: 'server/setting'. */
export function parseAddressHeader(text: string | undefined): string | undefined {
  if (text === undefined || text === '') return undefined;
  if (/^[\w-]{1,64}$/.test(text)) return text;
  throw new ProductError(
    'server/setting',
    `CLIENT_ADDRESS_HEADER is "${text}"; the name of a header is expected that your proxy sets, such as x-forwarded-for`,
  );
}

/** Without `header`, callers behind one proxy are one; with it and without a proxy, callers name themselves as they like. */
export function findClientAddress(context: Context, header: string | undefined): string {
  // The last address is the one that the nearest proxy has seen itself; those before were sent to it.
  const told = header === undefined ? undefined : context.req.header(header)?.split(',').at(-1)?.trim();
  return toNetwork(told || getConnInfo(context).remote.address || 'unknown');
}

/** Whoever has one IPv6 address has its whole /64 network. */
function toNetwork(address: string): string {
  const isMapped = /^::ffff:\d/i.test(address);
  if (!address.includes(':') || isMapped) return address;
  const [head = '', tail] = address.split('::');
  const first = head === '' ? [] : head.split(':');
  const last = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - first.length - last.length);
  return [...first, ...Array.from({ length: zeros }, () => '0'), ...last].slice(0, 4).join(':');
}
