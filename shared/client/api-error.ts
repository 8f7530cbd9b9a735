/** Why a request failed, whoever is to blame: the one error class of the client. */
import { problemSchema, REQUEST_ID_HEADER, type Problem } from '../api.ts';

/**
 * Codes of what no problem of the server tells: `unreachable`, nothing came or it broke off; `unexpected-answer`, the
 * answer is not what this version expects; `refused`, an error status in other words than the API's (a proxy's);
 * `invalid-request`, nothing was sent.
 */
export type ClientErrorCode =
  | 'client/unreachable'
  | 'client/unexpected-answer'
  | 'client/refused'
  | 'client/invalid-request';

/** As `type` and `code` of a problem, but open: a newer server may have codes that this client does not know. */
const answeredProblemSchema = problemSchema.extend({ code: problemSchema.shape.type });

interface ApiErrorOptions {
  code: string;
  /** 0: there was no answer. */
  status: number;
  title: string;
  details?: Readonly<Record<string, unknown>> | undefined;
  headers?: Headers | undefined;
  cause?: unknown;
}

/** `message` says what was got, what was expected and what to do. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  /** Stable: of the problem that the server told, or of the client's own. */
  readonly code: Problem['code'] | ClientErrorCode | (string & Record<never, never>);
  /** Of HTTP; 0 when there was no answer. */
  readonly status: number;
  /** What the code means, in a few words. */
  readonly title: string;
  /** Facts for machines, for example `layers` for an unknown layer. */
  readonly details: Readonly<Record<string, unknown>>;
  /** To be told to the operator; where the server gives its requests names. */
  readonly requestId: string | undefined;
  /** How long the server wants to be left alone. */
  readonly retryAfterSeconds: number | undefined;

  constructor(message: string, { code, status, title, details = {}, headers, cause }: ApiErrorOptions) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.status = status;
    this.title = title;
    this.details = details;
    this.requestId = headers?.get(REQUEST_ID_HEADER) ?? undefined;
    const seconds = headers?.get('retry-after') ?? '';
    this.retryAfterSeconds = /^\d+$/.test(seconds) ? Number(seconds) : undefined;
  }

  /** The server's words. */
  get detail(): string {
    return this.message;
  }

  /** Whether the same request may succeed a moment later. */
  get isTemporary(): boolean {
    return this.code === 'client/unreachable' || this.status === 429 || this.status >= 500;
  }
}

/** From the body of an answer with an error status: a problem, the `{"error"}` of /v2, or anything else. */
export function toApiError(text: string, { status, headers }: Pick<Response, 'status' | 'headers'>): ApiError {
  const body = parseJson(text);
  const problem = answeredProblemSchema.safeParse(body);
  if (problem.success) return fromProblem(problem.data, headers);
  const said =
    typeof body === 'object' && body !== null && 'error' in body && typeof body.error === 'string'
      ? body.error
      : 'it gave no reason; try again; if it happens again, look at the log of the server';
  return new ApiError(said, {
    code: 'client/refused',
    status,
    title: `The server answered with status ${status}`,
    headers,
  });
}

export function fromProblem(problem: Omit<Problem, 'code'> & { code: string }, headers?: Headers): ApiError {
  const { detail, code, status, title, details } = problem;
  return new ApiError(detail, { code, status, title, details, headers });
}

export function unreachable(cause: unknown): ApiError {
  const message = 'no answer came, or it broke off; check that the server is running and that you are connected';
  return new ApiError(message, {
    code: 'client/unreachable',
    status: 0,
    title: 'The server does not answer',
    cause,
  });
}

/** The same request would fail again. */
export function invalidRequest(cause: unknown): ApiError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const message = `nothing was sent: ${reason}; check the headers of the client and the address that is asked for`;
  return new ApiError(message, {
    code: 'client/invalid-request',
    status: 0,
    title: 'The request cannot be made',
    cause,
  });
}

export function unexpectedAnswer(cause: unknown, { status, headers }: Pick<Response, 'status' | 'headers'>): ApiError {
  return new ApiError('server and client are probably of different versions; use those of one version', {
    code: 'client/unexpected-answer',
    status,
    title: 'The server answered in another way than this client expects',
    headers,
    cause,
  });
}

/** `undefined` for what is not JSON: no schema accepts it. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
