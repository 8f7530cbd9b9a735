/**
 * Every error answer of the server: which HTTP status and title a code has, and the one shape that all of them take
 * (RFC 9457). Routes throw; nobody else writes an error body.
 */
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { PROBLEM_CODES, PROBLEM_MEDIA_TYPE, type Problem } from '../shared/api.ts';
import { isRequestError, ProductError } from '../shared/errors.ts';

export type ProblemCode = Problem['code'];

interface ProblemKind {
  status: ContentfulStatusCode;
  title: string;
}

export const PROBLEM_KINDS: Readonly<Record<ProblemCode, ProblemKind>> = {
  'request/malformed': { status: 400, title: 'The request is not HTTP as this server reads it' },
  'request/malformed-json': { status: 400, title: 'The body is not JSON' },
  'request/malformed-multipart': { status: 400, title: 'The body is not multipart/form-data' },
  'request/invalid': { status: 400, title: 'A parameter or field is not valid' },
  'request/unsupported-media-type': { status: 415, title: 'The content type does not fit this route' },
  'request/not-acceptable': { status: 406, title: 'There is no form of the answer that Accept allows' },
  'request/too-large': { status: 413, title: 'The body is too large' },
  'request/too-many-files': { status: 413, title: 'The request has too many files' },
  'request/empty': { status: 400, title: 'The body is empty' },
  'request/aborted': { status: 400, title: 'The body ended before it was complete' },
  'request/timeout': { status: 408, title: 'The request did not arrive in time' },
  'request/too-complex': { status: 400, title: 'The JSON is nested too deep or has too many parts' },
  'request/url-too-long': { status: 414, title: 'The URL is too long' },
  'request/headers-too-large': { status: 431, title: 'The headers are too large' },
  'request/unauthorized': { status: 401, title: 'An API key is needed' },
  'request/rate-limited': { status: 429, title: 'Too many requests' },
  'route/unknown': { status: 404, title: 'There is nothing at this path' },
  'route/method': { status: 405, title: 'This path does not have this method' },
  'image/empty': { status: 400, title: 'The file is empty' },
  'image/unknown-type': { status: 415, title: 'The file is no PNG, JPEG or WebP' },
  'image/unsupported': { status: 415, title: 'This variant of the file type is not supported' },
  'image/too-large': { status: 413, title: 'The file has too many bytes' },
  'image/too-many-pixels': { status: 413, title: 'The picture has too many pixels' },
  'image/truncated': { status: 422, title: 'The file ends too early' },
  'image/corrupt': { status: 422, title: 'The file is damaged' },
  'image/base64': { status: 400, title: 'The image is not base64' },
  'layer/unknown': { status: 404, title: 'The model has no such layer' },
  'token/invalid': { status: 400, title: 'The input token cannot be read' },
  'sample/unknown': { status: 404, title: 'There is no such sample' },
  'class/unknown': { status: 404, title: 'The model has no such class' },
  'explain/unsupported': { status: 422, title: 'The model cannot be explained so' },
  'model/unknown': { status: 404, title: 'There is no such model' },
  'channel/unknown': { status: 404, title: 'There is no such channel' },
  'evaluation/missing': { status: 404, title: 'The model has no such measurement' },
  'evaluation/incomparable': { status: 409, title: 'The models were not measured on the same images' },
  'server/not-ready': { status: 503, title: 'The model is not loaded' },
  'server/busy': { status: 503, title: 'The server has too much to do' },
  'server/timeout': { status: 503, title: 'The answer took too long' },
  'server/lost': { status: 500, title: 'The computation was cut off' },
  'server/no-metrics': { status: 404, title: 'This server shows no metrics' },
  internal: { status: 500, title: 'The server made an error' },
};

const RETRY_AFTER_SECONDS = 1;

export type AnsweredProblem = Problem & { status: ContentfulStatusCode };

/**
 * What the caller is told. Only errors made for the caller keep their text. Without `requestId` for a problem that is part of
 * an answer: such answers are the same each time.
 */
export function toProblem(error: unknown, requestId?: string): AnsweredProblem {
  const told = isTold(error)
    ? error
    : new ProductError('internal', 'the server made an error that is not yours; it is in its log; try again later');
  const code = told.code as ProblemCode;
  const { status, title } = PROBLEM_KINDS[code];
  return {
    type: `/docs#${code}`,
    title,
    status,
    code,
    detail: told.message,
    ...(Object.keys(told.details).length === 0 ? {} : { details: told.details }),
    ...(requestId === undefined ? {} : { requestId }),
  };
}

/** Gaps and refusals that the operator has decided on; and a lost thread, which is told where it is replaced. */
const NO_TROUBLE: readonly string[] = [
  'evaluation/missing',
  'evaluation/incomparable',
  'server/busy',
  'server/timeout',
  'server/lost',
  'server/no-metrics',
];

/** Whether the operator should know: what the caller did not cause, but neither that loading takes a while nor gaps. */
export function isWorthLogging(error: unknown): boolean {
  if (!(error instanceof ProductError)) return true;
  if (NO_TROUBLE.includes(error.code)) return false;
  const isWaiting = error.code === 'server/not-ready' && error.cause === undefined;
  return !isRequestError(error) && !isWaiting;
}

export function problemHeaders({ status, details }: Problem): Record<string, string> {
  const retryAfterSeconds = Number(details?.['retryAfterSeconds'] ?? RETRY_AFTER_SECONDS);
  return {
    'content-type': PROBLEM_MEDIA_TYPE,
    'cache-control': 'no-store',
    ...(status === 503 ? { 'retry-after': String(retryAfterSeconds) } : {}),
  };
}

function isTold(error: unknown): error is ProductError {
  return error instanceof ProductError && (PROBLEM_CODES as readonly string[]).includes(error.code);
}
