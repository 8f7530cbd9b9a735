/**
 * The one error class of the product and the complete list of its codes.
 *
 * A code is stable: clients, scripts and tests may rely on it. A message says what was got, what was expected and what
 * to do. Which HTTP status a code has is decided in serve/ (`problem.ts`); which exit status in the command lines.
 */

/** Codes of errors that the caller of the API caused and can mend. */
export const REQUEST_ERROR_CODES = [
  'request/malformed',
  'request/malformed-json',
  'request/malformed-multipart',
  'request/invalid',
  'request/unsupported-media-type',
  'request/not-acceptable',
  'request/too-large',
  'request/too-many-files',
  'request/empty',
  'request/aborted',
  'request/timeout',
  'request/too-complex',
  'request/url-too-long',
  'request/headers-too-large',
  'request/unauthorized',
  'request/rate-limited',
  'route/unknown',
  'route/method',
  'image/empty',
  'image/unknown-type',
  'image/unsupported',
  'image/too-large',
  'image/too-many-pixels',
  'image/truncated',
  'image/corrupt',
  'image/base64',
  'layer/unknown',
  'token/invalid',
  'sample/unknown',
  'class/unknown',
  'explain/unsupported',
  'model/unknown',
  'channel/unknown',
] as const;

/** Codes of errors in files, configuration or the environment: the user of a command or the operator can mend them. */
export const ARTIFACT_ERROR_CODES = [
  'architecture/invalid',
  'architecture/unsupported',
  'cli/usage',
  'config/invalid',
  'config/unknown-preset',
  'dataset/missing',
  'dataset/exists',
  'dataset/download',
  'dataset/checksum',
  'dataset/damaged',
  'checkpoint/missing',
  'checkpoint/damaged',
  'checkpoint/mismatch',
  'run/exists',
  'run/folder',
  'run/damaged',
  'engine/unavailable',
  'engine/unsupported',
  'engine/out-of-memory',
  'engine/device-lost',
  'engine/failed',
  'engine/memory',
  'training/diverged',
  'model/missing',
  'model/exists',
  'model/damaged',
  'model/version',
  'model/unsupported',
  'model/too-large',
  'evaluation/mismatch',
  'evaluation/missing',
  'evaluation/incomparable',
  'parity/failed',
  'store/unavailable',
  'store/missing',
  'store/credentials',
  'store/occupied',
  'store/damaged',
  'store/changed',
  'store/unknown-model',
  'store/ambiguous-id',
  'store/nothing-to-roll-back',
  'verify/unreachable',
  'verify/other-model',
  'verify/mismatch',
  'tensorflow/pip-missing',
  'tensorflow/compiler-missing',
  'tensorflow/download-failed',
  'tensorflow/build-failed',
  'tensorflow/not-set-up',
  'tensorflow/unsupported-platform',
  'server/port',
  'server/store',
  'server/pointer-ttl',
  'server/edge-mode',
  'server/setting',
  'server/no-metrics',
  'server/not-ready',
  'server/busy',
  'server/timeout',
  'server/lost',
  'web/not-built',
  'internal',
] as const;

export type RequestErrorCode = (typeof REQUEST_ERROR_CODES)[number];
export type ArtifactErrorCode = (typeof ARTIFACT_ERROR_CODES)[number];
export type ErrorCode = RequestErrorCode | ArtifactErrorCode;

export interface ProductErrorOptions {
  /** The error that led to this one. */
  cause?: unknown;
  /** Facts for machines, for example the list of known layers. Must be JSON. */
  details?: Readonly<Record<string, unknown>>;
}

/** An error that a person is meant to read: `message` is "what was got; what was expected; what to do". */
export class ProductError extends Error {
  override readonly name = 'ProductError';
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: ProductErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** Whether the caller of the API caused the error (and may be told its text). */
export function isRequestError(error: unknown): error is ProductError & { code: RequestErrorCode } {
  return error instanceof ProductError && (REQUEST_ERROR_CODES as readonly string[]).includes(error.code);
}
