/** What is wrong with a query or a body, in words that say what to do: zod finds it, its own messages name only types. */
import { z } from 'zod';
import { ProductError } from '../../shared/errors.ts';

/** An object with these fields only; whoever sends another one is told the fields that there are. */
export function onlyFields<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, { error: explainIssue });
}

/** zod's error function, for a schema or for one parse; undefined leaves the message to zod. */
export function explainIssue(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === 'invalid_type' && issue.input === undefined) return `is missing; a ${issue.expected} is expected`;
  if (issue.code !== 'unrecognized_keys') return undefined;
  const unknown = listShortly(issue.keys);
  const known = issue.inst instanceof z.ZodObject ? Object.keys(issue.inst.shape) : [];
  return `${unknown} is not known; ${known.length === 0 ? 'nothing' : `only ${known.join(', ')}`} is expected`;
}

/** Names that somebody made up: a few of them, and each not at any length. */
function listShortly(names: readonly string[]): string {
  const shown = names.slice(0, SHOWN_NAMES).map((name) => `"${name.slice(0, SHOWN_CHARACTERS)}"`);
  return [...shown, ...(names.length > SHOWN_NAMES ? [`${names.length - SHOWN_NAMES} more`] : [])].join(', ');
}

const SHOWN_NAMES = 8;
const SHOWN_CHARACTERS = 40;

/** Refuse a query that gives a parameter more than once. Errors: 'request/invalid'. */
export function refuseRepeated(query: Readonly<Record<string, readonly string[]>>): void {
  const repeated = Object.entries(query).find(([, values]) => values.length > 1);
  if (repeated === undefined) return;
  const [name, { length }] = repeated;
  throw new ProductError('request/invalid', `the query gives ${name} ${length} times; give it once`);
}

/** 'request/invalid' with every issue that zod found. */
export function invalidRequest(place: string, error: z.core.$ZodError): ProductError {
  const issues = error.issues.map((issue) => ({ path: issue.path.map(String).join('.'), message: issue.message }));
  const listed = issues.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; ');
  return new ProductError('request/invalid', `${place} is not valid: ${listed}; see /docs`, { details: { issues } });
}
