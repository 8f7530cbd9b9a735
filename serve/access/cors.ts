/** Which pages of other origins may read answers: a setting of the operator. There are no cookies to send along. */
import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import { ProductError } from '../../shared/errors.ts';

/** All of them, or a list that may be empty. */
export type AllowedOrigins = '*' | readonly string[];

/** The operator's setting CORS_ORIGINS. Errors: 'server/setting'. */
export function parseOrigins(text: string | undefined): AllowedOrigins {
  if (text === undefined || text === '' || text === '*') return '*';
  if (text === 'none') return [];
  const origins = text.split(',').map((each) => each.trim());
  const wrong = origins.find((origin) => !URL.canParse(origin) || new URL(origin).origin !== origin);
  if (wrong === undefined) return origins;
  throw new ProductError(
    'server/setting',
    `CORS_ORIGINS has "${wrong}"; *, none, or origins with commas between them are expected, such as https://example.org`,
  );
}

/** Around every request. `exposed` are the headers that pages may read. */
export const allowOrigins = (allowed: AllowedOrigins, exposed: readonly string[]) =>
  createMiddleware(async (context, next) => {
    await next();
    // Not context.header(), which copies an answer that is made, each time.
    const { headers } = context.res;
    // A cache keeps an answer for each origin, or one page's answer is another's.
    if (allowed !== '*') headers.append('vary', 'Origin');
    const origin = findOrigin(context, allowed);
    if (origin === undefined) return;
    headers.set('access-control-allow-origin', origin);
    headers.set('access-control-expose-headers', exposed.join(','));
  });

/** What a browser asks before it lets a page send a request that no form could send. */
export function answerPreflight(context: Context, allowed: AllowedOrigins, headers: readonly string[]): Response {
  if (findOrigin(context, allowed) === undefined) return context.body(null, 204);
  return context.body(null, 204, {
    'access-control-allow-methods': 'GET,HEAD,POST',
    'access-control-allow-headers': headers.join(','),
    'access-control-max-age': '86400',
  });
}

/** One of the list, never what the caller made up. */
function findOrigin(context: Context, allowed: AllowedOrigins): string | undefined {
  if (allowed === '*') return '*';
  return allowed.find((origin) => origin === context.req.header('origin'));
}
