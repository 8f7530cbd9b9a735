/** The length of URLs, the same on every platform; Node itself refuses only what is longer than all headers may be. */
import { createMiddleware } from 'hono/factory';
import { API_LIMITS } from '../../shared/api.ts';
import { ProductError } from '../../shared/errors.ts';

/** Around every request. Errors: 'request/url-too-long'. */
export const limitUrl = createMiddleware(async (context, next) => {
  const { pathname, search } = new URL(context.req.url);
  const length = pathname.length + search.length;
  if (length > API_LIMITS.urlLength) throw urlTooLong(length);
  await next();
});

export function urlTooLong(length: number | undefined): ProductError {
  const { urlLength } = API_LIMITS;
  return new ProductError(
    'request/url-too-long',
    `got a path and query of ${length ?? `more than ${urlLength}`} characters; at most ${urlLength} are expected; send a picture as the body`,
    { details: { urlLength } },
  );
}
