/**
 * The part of the OpenAPI document that holds for many routes alike: what the server does before a route is asked. Written
 * into the document when it is made, so that no route has to remember it.
 */
import { REQUEST_ID_HEADER } from '../../shared/api.ts';
import { OIP_ROOT } from '../oip/oip-error.ts';
import { oipErrors, problemAnswers } from './openapi.ts';
import type { ProblemCode } from '../problem.ts';
import { LIMITED_ROUTES } from '../access/rate-limit.ts';

interface Operation {
  requestBody?: unknown;
  security?: object[];
  responses: Record<string, Answer>;
}

interface Answer {
  description: string;
  headers?: Record<string, object>;
}

interface Document {
  paths?: object;
  components?: { headers?: object; securitySchemes?: object };
}

const KEY_ROUTE = '/evaluate';
const LIMITED_PATHS: readonly string[] = LIMITED_ROUTES.map((route) => route.replaceAll(/:(\w+)/g, '{$1}'));
const HEADERS = {
  RequestId: {
    description: 'Names this request in the log of the server. What the caller sent as the same header, if it is sane.',
    schema: { type: 'string' },
  },
  RetryAfter: { description: 'Seconds to wait.', schema: { type: 'integer' } },
  WwwAuthenticate: { description: 'Bearer.', schema: { type: 'string' } },
} as const;

/** Changes the document that it is given. */
export function describeCommonProblems(document: Document): void {
  document.components = {
    ...document.components,
    headers: HEADERS,
    securitySchemes: {
      apiKey: { type: 'http', scheme: 'bearer', description: 'Where the operator asks for one (API_KEYS).' },
    },
  };
  for (const [path, operations] of Object.entries(document.paths ?? {})) {
    for (const operation of Object.values(operations as Record<string, Operation>)) describe(operation, path);
  }
}

function describe(operation: Operation, path: string): void {
  const codes: ProblemCode[] = ['request/url-too-long'];
  if (operation.requestBody !== undefined) codes.push('request/timeout');
  if (LIMITED_PATHS.includes(path)) codes.push('request/rate-limited');
  if (path === KEY_ROUTE) {
    codes.push('request/unauthorized');
    operation.security = [{}, { apiKey: [] }];
  }
  const isOip = path === OIP_ROOT || path.startsWith(`${OIP_ROOT}/`);
  const answers = (isOip ? oipErrors(codes) : problemAnswers(codes)) as Record<string, Answer>;
  for (const [status, answer] of Object.entries(answers)) {
    const known = operation.responses[status];
    if (known === undefined) operation.responses[status] = answer;
    else known.description = `${known.description}, ${answer.description}`;
  }
  for (const [status, answer] of Object.entries(operation.responses)) {
    answer.headers = {
      ...answer.headers,
      [REQUEST_ID_HEADER]: refer('RequestId'),
      ...(['429', '503'].includes(status) ? { 'retry-after': refer('RetryAfter') } : {}),
      ...(status === '401' ? { 'www-authenticate': refer('WwwAuthenticate') } : {}),
    };
  }
}

function refer(name: keyof typeof HEADERS): object {
  return { $ref: `#/components/headers/${name}` };
}
