/** Conditional requests: answers that a cache may keep but must ask for again. */
import type { Context } from 'hono';
import { sha256Hex } from './sha256.ts';

/** Raise it when the same question is to be answered with other bytes than before. */
const ANSWER_VERSION = 4;
const YEAR_SECONDS = 365 * 24 * 60 * 60;

/** A strong ETag of everything that an answer depends on. */
export async function makeEtag(parts: readonly unknown[]): Promise<string> {
  return `"${(await sha256Hex(JSON.stringify([ANSWER_VERSION, ...parts]))).slice(0, 32)}"`;
}

/** Whether the caller already has the answer with this ETag (RFC 9110, 13.1.2: weak comparison). */
export function isNotModified(context: Context, etag: string): boolean {
  return isKnown(context.req.header('if-none-match') ?? null, etag);
}

/** The same for the header's text, null when there is none. */
export function isKnown(known: string | null, etag: string): boolean {
  if (known === null) return false;
  return known.split(',').some((each) => ['*', etag].includes(each.trim().replace(/^W\//, '')));
}

/**
 * How long an answer may be kept. Only what names its model by the whole id can never change; all else is asked for again.
 * What shows a caller's own picture is for that caller's cache only.
 */
export function cacheRule({ isPinned, isPrivate }: { isPinned: boolean; isPrivate: boolean }): string {
  if (isPinned) return `${isPrivate ? 'private' : 'public'}, max-age=${YEAR_SECONDS}, immutable`;
  return isPrivate ? 'private, no-cache' : 'no-cache';
}
