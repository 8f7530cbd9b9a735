/** Errors below /v2: the status is that of the problem, the body is the protocol's one string. */
import type { Context } from 'hono';
import { problemHeaders, type AnsweredProblem } from '../problem.ts';

export const OIP_ROOT = '/v2';

export function isOipPath(path: string): boolean {
  return path === OIP_ROOT || path.startsWith(`${OIP_ROOT}/`);
}

/** What was sent is quoted in messages; nobody needs all of it back. */
const LONGEST_MESSAGE = 2000;

/** The request's id is in the header of the answer only: the protocol's body has one field. */
export function answerOipError(context: Context, problem: AnsweredProblem): Response {
  const body = JSON.stringify({ error: problem.detail.slice(0, LONGEST_MESSAGE) });
  return context.body(body, problem.status, { ...problemHeaders(problem), 'content-type': 'application/json' });
}
