/** Keys for what costs the server most, POST /evaluate: a setting of the operator, without which everybody may. */
import { createMiddleware } from 'hono/factory';
import { timingSafeEqual } from 'hono/utils/buffer';
import { ProductError } from '../../shared/errors.ts';

/** Of a key; what is shorter can be guessed. */
const SHORTEST_KEY = 16;
/** Characters that a header carries as they are (RFC 6750, 2.1). */
const KEY = /^[\w.~+/-]+=*$/;

/** The operator's setting API_KEYS: keys with commas between them. Errors: 'server/setting'; no key is in a message. */
export function parseApiKeys(text: string | undefined): readonly string[] {
  if (text === undefined) return [];
  // Of a secret that did not arrive, for example: who wrote it down did not mean to open the route.
  if (text.trim() === '') {
    throw new ProductError(
      'server/setting',
      'API_KEYS is set but has no key; keys with commas between them are expected, or no API_KEYS at all, so that everybody may evaluate',
    );
  }
  const keys = text.split(',').map((key) => key.trim());
  if (keys.every((key) => key.length >= SHORTEST_KEY && KEY.test(key))) return keys;
  throw new ProductError(
    'server/setting',
    `API_KEYS has a key that is shorter than ${SHORTEST_KEY} characters, or has others than letters, digits and -._~+/; make one with "openssl rand -hex 32"`,
  );
}

/** Around a route. Errors: 'request/unauthorized'. */
export const requireKey = (keys: readonly string[]) =>
  createMiddleware(async (context, next) => {
    // A browser's question before the request carries no key.
    if (keys.length === 0 || context.req.method === 'OPTIONS') return next();
    const [, sent] = /^Bearer +(\S+)$/i.exec(context.req.header('authorization') ?? '') ?? [];
    if (sent !== undefined && (await isOneOf(keys, sent))) return next();
    context.header('www-authenticate', `Bearer realm="evaluate"${sent === undefined ? '' : ', error="invalid_token"'}`);
    throw new ProductError(
      'request/unauthorized',
      sent === undefined
        ? 'got no API key; this server evaluates for those who have one; send it as "Authorization: Bearer KEY"'
        : 'the API key is not one of this server; ask its operator for one',
    );
  });

/** Takes the same time whichever it is, and however much of it is right. */
async function isOneOf(keys: readonly string[], sent: string): Promise<boolean> {
  const results = await Promise.all(keys.map((key) => timingSafeEqual(key, sent)));
  return results.includes(true);
}
