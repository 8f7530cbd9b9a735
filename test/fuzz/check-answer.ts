/** Whether an answer is one that the API promises, whatever was asked: the document says which statuses a route has. */
import { z } from 'zod';
import { PROBLEM_MEDIA_TYPE, problemSchema } from '../../shared/api.ts';
import { evaluationEventSchema } from '../../shared/evaluation-api.ts';

const documentSchema = z.object({
  paths: z.record(z.string(), z.record(z.string(), z.object({ responses: z.record(z.string(), z.unknown()) }))),
});

export type ApiDocument = z.infer<typeof documentSchema>;

export function parseDocument(value: unknown): ApiDocument {
  return documentSchema.parse(value);
}

export interface Answer {
  status: number;
  headers: Headers;
  body: string;
}

const oipErrorSchema = z.strictObject({ error: z.string().min(1) });
/** Of paths and methods that the document does not name: the page, and refusals. */
const UNNAMED = [200, 204, 304, 404, 405, 414, 431];
/** What would tell a caller how the server is made. */
const LEAK = /node_modules|\.ts:\d|\bat \w+ \(|internal error/i;

/** What is wrong with it, or undefined. */
export function findFault(
  document: ApiDocument,
  { method, path }: { method: string; path: string },
  answer: Answer,
): string | undefined {
  const { pathname } = new URL(`http://fuzz.test${path}`);
  const { status, headers, body } = answer;
  const expected = findStatuses(document, method, pathname);
  if (!expected.includes(status)) return `status ${status}, where only ${expected.join(', ')} are documented`;
  if (headers.get('x-content-type-options') !== 'nosniff') return 'the header x-content-type-options is missing';
  if (LEAK.test(body)) return `the body tells of the inside: ${body.slice(0, 200)}`;
  if (status >= 400) return method === 'HEAD' ? undefined : findProblemFault(pathname, answer);
  const type = headers.get('content-type') ?? '';
  try {
    if (type === 'application/json' && body !== '') JSON.parse(body);
    if (pathname === '/evaluate' && status === 200) checkEvents(body);
  } catch (error) {
    return `the body is not what it should be: ${error instanceof Error ? error.message : String(error)}`;
  }
  return undefined;
}

function findProblemFault(pathname: string, { status, headers, body }: Answer): string | undefined {
  const isOip = /^\/v2(\/|$)/.test(pathname);
  const type = headers.get('content-type');
  const expected = isOip ? 'application/json' : PROBLEM_MEDIA_TYPE;
  if (type !== expected) return `an error of type ${type}; ${expected} is expected`;
  try {
    const value: unknown = JSON.parse(body);
    if (isOip) oipErrorSchema.parse(value);
    else if (problemSchema.parse(value).status !== status) return 'the problem has another status than the answer';
  } catch (error) {
    return `the error is no problem: ${error instanceof Error ? error.message : String(error)}`;
  }
  return undefined;
}

/** As lines or as server-sent events: the last one is the result, or a problem that the caller caused. */
function checkEvents(body: string): void {
  const lines = body.split('\n').filter((line) => line !== '' && !line.startsWith('event: '));
  const events = lines.map((line) => evaluationEventSchema.parse(JSON.parse(line.replace(/^data: /, ''))));
  const last = events.at(-1);
  if (last?.type === 'problem' && last.problem.status >= 500) throw new Error(`it ends with ${last.problem.code}`);
  if (last?.type !== 'result' && last?.type !== 'problem') throw new Error(`it ends with ${last?.type}`);
}

function findStatuses({ paths }: ApiDocument, method: string, pathname: string): number[] {
  // A path that is named itself comes before one with a parameter.
  const templates = Object.keys(paths).filter((template) => fits(template, pathname));
  const operations = paths[templates.toSorted((a, b) => a.split('{').length - b.split('{').length)[0] ?? ''];
  const operation = operations?.[(method === 'HEAD' ? 'GET' : method).toLowerCase()];
  if (operation === undefined) return UNNAMED;
  return Object.keys(operation.responses)
    .map(Number)
    .filter((status) => status < 500);
}

function fits(template: string, pathname: string): boolean {
  const expected = template.split('/');
  const actual = pathname.split('/');
  return (
    expected.length === actual.length &&
    expected.every((part, index) => (part.startsWith('{') ? actual[index] !== '' : part === actual[index]))
  );
}
