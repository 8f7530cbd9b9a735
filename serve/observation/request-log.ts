/** The log as lines of JSON, one for each request and each error of the server: a setting of the operator. */
import { ProductError } from '../../shared/errors.ts';
import type { AnsweredRequest } from './observer.ts';

export type LogForm = 'json' | 'off';

/** The operator's setting LOG. Errors: 'server/setting'. */
export function parseLogForm(text: string | undefined): LogForm {
  if (text === undefined || text === '') return 'off';
  if (text === 'json' || text === 'off') return text;
  throw new ProductError('server/setting', `LOG is "${text}"; json or off is expected`);
}

/** What an operator looks at first are the server's own mistakes. */
export function writeRequestLine(request: AnsweredRequest): string {
  const { durationMs, ...rest } = request;
  const level = request.status >= 500 ? (request.status === 503 ? 'warn' : 'error') : 'info';
  const rounded = durationMs === undefined ? {} : { durationMs: Math.round(durationMs * 100) / 100 };
  return JSON.stringify({ time: new Date().toISOString(), level, message: 'request', ...rest, ...rounded });
}

export function writeMessageLine(message: string): string {
  return JSON.stringify({ time: new Date().toISOString(), level: 'info', message });
}

/** With the stack: the log is the operator's. */
export function writeErrorLine(error: unknown, requestId: string | undefined): string {
  const { code, message, stack } = describeError(error);
  const cause = error instanceof Error && error.cause !== undefined ? { cause: describeError(error.cause) } : {};
  const id = requestId === undefined ? {} : { requestId };
  return JSON.stringify({ time: new Date().toISOString(), level: 'error', message, ...id, code, stack, ...cause });
}

function describeError(error: unknown): { code?: string; message: string; stack?: string | undefined } {
  if (!(error instanceof Error)) return { message: String(error) };
  const code = error instanceof ProductError ? { code: error.code } : {};
  return { ...code, message: error.message, stack: error.stack };
}
