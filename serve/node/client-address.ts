/** Who asks, for the rate limit: the address of the connection, or what the operator's own proxy says. */
import { isIP } from 'node:net';
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

/**
 * Callers behind one proxy are one without `header`; with it and without a proxy, callers name themselves as they like. What
 * is no address names nobody: then it is the connection's, which all such callers share.
 */
export function findClientAddress(context: Context, header: string | undefined): string {
  // The last address is the one that the nearest proxy has seen itself; those before were sent to it.
  const told = header === undefined ? undefined : context.req.header(header)?.split(',').at(-1);
  return parseClient(told) ?? parseClient(getConnInfo(context).remote.address) ?? 'unknown';
}

/**
 * One name for one client, however its address is written: an IPv4 address, or the /64 network of an IPv6 address, since
 * whoever has one address of it has them all. Ports, brackets and zones do not count.
 */
export function parseClient(text: string | undefined): string | undefined {
  const [, bracketed, plain] = /^\s*(?:\[([^\]]*)\](?::\d{1,5})?|([^\s[\]]+))\s*$/.exec(text ?? '') ?? [];
  if (bracketed !== undefined) return isIP(bracketed) === 6 ? toNetwork(bracketed) : undefined;
  if (plain === undefined) return undefined;
  if (isIP(plain) === 6) return toNetwork(plain);
  const address = plain.replace(/:\d{1,5}$/, '');
  return isIP(address) === 4 ? address : undefined;
}

/** Of an IPv4 address in IPv6 (::ffff:a.b.c.d): that address. */
function toNetwork(address: string): string {
  const [head = '', tail = ''] = new URL(`http://[${address.replace(/%.*$/, '')}]`).hostname.slice(1, -1).split('::');
  const first = head === '' ? [] : head.split(':');
  const last = tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: 8 - first.length - last.length }, () => '0');
  const groups = [...first, ...zeros, ...last];
  if (groups.slice(0, 6).join(':') !== '0:0:0:0:0:ffff') return groups.slice(0, 4).join(':');
  return groups
    .slice(6)
    .flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255])
    .join('.');
}
