/**
 * The requests of this page, with answers checked by the schemas of the contract. Every failure is an `ApiFailure` with
 * sentences for people. Knows nothing of the DOM.
 */
import { z } from 'zod';
import {
  activationSchema,
  classificationSchema,
  layerListSchema,
  modelListSchema,
  problemSchema,
  sampleListSchema,
} from '../shared/api.ts';
import type { Activation, Classification, LayerList, ModelList, SampleList } from '../shared/api.ts';
import { toSentence } from './number-text.ts';

// Compiled validators need `new Function`, which a content security policy may forbid.
z.config({ jitless: true });

/** The publication of the store that answered; a server without a store sends none. */
const MODEL_SEQ_HEADER = 'x-model-seq';

export class ApiFailure extends Error {
  override readonly name = 'ApiFailure';
  readonly title: string;
  /** Whether the same request may succeed a moment later. */
  readonly isTemporary: boolean;

  constructor(title: string, message: string, options: { isTemporary: boolean; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.title = title;
    this.isTemporary = options.isTemporary;
  }
}

export async function listModels(): Promise<ModelList> {
  return (await request('models', modelListSchema)).data;
}

/** The layers of the model that answers, or of the one with the id `model`. */
export async function listLayers(model?: string): Promise<LayerList> {
  return (await request(`activations${formatQuery({ model })}`, layerListSchema)).data;
}

export async function listSamples(): Promise<SampleList> {
  return (await request('samples', sampleListSchema)).data;
}

interface RequestOptions {
  /** The id of a model that is not the one that answers by default. */
  model: string | undefined;
  signal: AbortSignal;
}

/** A classification, and which publication of the store gave it, where the server says so. */
export type Answer = Classification & { publication: number | undefined };

/** Predictions for all `classes`, most likely first. */
export async function classifyPicture(
  picture: Blob,
  { classes, model, signal }: RequestOptions & { classes: number },
): Promise<Answer> {
  const path = `classify${formatQuery({ top_k: String(classes), model })}`;
  const { data, headers } = await request(path, classificationSchema, {
    method: 'POST',
    body: picture,
    // The server looks at the bytes; a type that the browser guessed from a file name says nothing.
    headers: { 'content-type': 'application/octet-stream' },
    signal,
  });
  return { ...data, publication: readPublication(headers) };
}

/** All values of a layer for a picture that was classified. */
export async function readActivation(
  layer: string,
  { token, model, signal }: RequestOptions & { token: string },
): Promise<Activation> {
  const query = formatQuery({ input: token, values: 'true', model });
  return (await request(`activations/${encodeURIComponent(layer)}${query}`, activationSchema, { signal })).data;
}

/** The bytes of a picture that the server itself offers. */
export async function fetchPicture(url: string, signal: AbortSignal): Promise<Blob> {
  return (await fetchBody(url, { signal })).body;
}

function formatQuery(fields: Readonly<Record<string, string | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) query.set(name, value);
  return query.size === 0 ? '' : `?${query}`;
}

function readPublication(headers: Headers): number | undefined {
  const text = headers.get(MODEL_SEQ_HEADER) ?? '';
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

async function request<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
  init: RequestInit = {},
): Promise<{ data: z.infer<Schema>; headers: Headers }> {
  const requestHeaders = new Headers(init.headers);
  requestHeaders.set('accept', 'application/json');
  const { body, headers } = await fetchBody(path, { ...init, headers: requestHeaders });
  const parsed = schema.safeParse(await parseJson(body));
  if (parsed.success) return { data: parsed.data, headers };
  throw new ApiFailure(
    'The server answered in another way than this page expects.',
    'Page and server are probably of different versions. Reload the page.',
    { isTemporary: false, cause: parsed.error },
  );
}

/** The whole body of a good answer: a connection can also break in the middle of one. */
async function fetchBody(url: string, init: RequestInit): Promise<{ body: Blob; headers: Headers }> {
  let response: Response;
  let body: Blob;
  try {
    response = await fetch(url, init);
    body = await response.blob();
  } catch (cause) {
    if (init.signal?.aborted === true) throw cause;
    if (!navigator.onLine) {
      const advice = 'What is shown stays. Try again when you are connected.';
      throw new ApiFailure('You are offline.', advice, { isTemporary: true, cause });
    }
    const advice = 'Check that it is running and that you are connected, then try again.';
    throw new ApiFailure('The server does not answer.', advice, { isTemporary: true, cause });
  }
  if (!response.ok) throw await readProblem(response.status, body);
  return { body, headers: response.headers };
}

/** `undefined` for a body that is not JSON: no schema accepts it. */
async function parseJson(body: Blob): Promise<unknown> {
  const text = await body.text();
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function readProblem(status: number, body: Blob): Promise<ApiFailure> {
  const isTemporary = status >= 500 || status === 429;
  const problem = problemSchema.safeParse(await parseJson(body));
  if (problem.success) {
    return new ApiFailure(toSentence(problem.data.title), toSentence(problem.data.detail), { isTemporary });
  }
  return new ApiFailure(
    `The server answered with status ${status}.`,
    'It gave no reason. Try again; if it happens again, look at the log of the server.',
    { isTemporary },
  );
}
