/**
 * How often one client may ask for what takes computing: a setting of the operator, without which there is no limit. On
 * Node this counts itself, on Workers a binding of the platform does.
 */
import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import { ProductError } from '../../shared/errors.ts';

/**
 * Routes that run or load a model, or compute as much. Whether the server is ready is asked by who watches it, and only
 * of the champion, which is loaded anyway: that is never limited.
 */
export const LIMITED_ROUTES = [
  '/classify',
  '/classify/json',
  '/activations',
  '/activations/:layer',
  '/explain',
  '/evaluate',
  '/models/:a/compare/:b',
  '/v2/models/:name/ready',
  '/v2/models/:name/versions/:version/ready',
  '/v2/models/:name/infer',
  '/v2/models/:name/versions/:version/infer',
] as const;

export interface RateVerdict {
  isAllowed: boolean;
  /** When asking again makes sense, if not now. */
  retryAfterSeconds: number;
  /** What is left, where the limiter knows it. */
  quota?: { limit: number; remaining: number; periodSeconds: number; resetSeconds: number };
}

export interface RateLimiter {
  /** Count one request. */
  take(client: string): RateVerdict | Promise<RateVerdict>;
}

export interface RateRule {
  limiter: RateLimiter;
  /** Who asks, as far as the platform knows. */
  identify: (context: Context) => string;
}

/** Around a route. Errors: 'request/rate-limited'. */
export const limitRate = ({ limiter, identify }: RateRule) =>
  createMiddleware(async (context, next) => {
    if (context.req.method === 'OPTIONS') return next();
    const { isAllowed, retryAfterSeconds, quota } = await limiter.take(identify(context));
    if (quota !== undefined) {
      const { limit, remaining, periodSeconds, resetSeconds } = quota;
      // draft-ietf-httpapi-ratelimit-headers
      context.header('ratelimit-policy', `"default";q=${limit};w=${periodSeconds}`);
      context.header('ratelimit', `"default";r=${remaining};t=${resetSeconds}`);
    }
    if (isAllowed) return next();
    context.header('retry-after', String(retryAfterSeconds));
    throw new ProductError('request/rate-limited', `too many requests; ask again in ${retryAfterSeconds} s`, {
      details: { retryAfterSeconds },
    });
  });

const PERIOD_SECONDS = 60;
/** More than ask in one period; whoever has more addresses than this has other means too. */
const REMEMBERED_CLIENTS = 10_000;

/** The operator's setting RATE_LIMIT: requests of one client in a minute. Errors: 'server/setting'. */
export function parseRateLimit(text: string | undefined): number | undefined {
  if (text === undefined || text === '' || text === 'off') return undefined;
  if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
  throw new ProductError(
    'server/setting',
    `RATE_LIMIT is "${text}"; off, or the requests that one client may make in a minute, is expected`,
  );
}

interface RateLimiterOptions {
  perMinute: number;
  /** Milliseconds from any beginning. */
  now?: () => number;
}

/**
 * Counts in this process, by the generic cell rate algorithm (ITU-T I.371): a client may ask `perMinute` times at once, and
 * gets one more each `60 / perMinute` seconds. Of a client one number is kept, until it has all its requests again.
 */
export function createRateLimiter({ perMinute, now = () => performance.now() }: RateLimiterOptions): RateLimiter {
  const periodMs = PERIOD_SECONDS * 1000;
  const intervalMs = periodMs / perMinute;
  /** By client: when it has all its requests again; the oldest is the first. */
  const fullAt = new Map<string, number>();
  return {
    take(client) {
      const nowMs = now();
      const before = Math.max(nowMs, fullAt.get(client) ?? nowMs);
      const after = before + intervalMs;
      // A millionth for the rounding of sums.
      const waitMs = after - nowMs - periodMs - intervalMs * 1e-6;
      const isAllowed = waitMs <= 0;
      const owedMs = (isAllowed ? after : before) - nowMs;
      if (isAllowed) {
        fullAt.delete(client);
        fullAt.set(client, after);
        forgetOldest(fullAt, nowMs);
      }
      return {
        isAllowed,
        retryAfterSeconds: isAllowed ? 0 : Math.ceil(waitMs / 1000),
        quota: {
          limit: perMinute,
          remaining: Math.max(0, Math.floor((periodMs - owedMs) / intervalMs + 1e-6)),
          periodSeconds: PERIOD_SECONDS,
          resetSeconds: Math.ceil(owedMs / 1000),
        },
      };
    },
  };
}

function forgetOldest(fullAt: Map<string, number>, nowMs: number): void {
  for (const [client, timeMs] of fullAt) {
    if (timeMs > nowMs && fullAt.size <= REMEMBERED_CLIENTS) return;
    fullAt.delete(client);
  }
}
