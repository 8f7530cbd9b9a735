/**
 * The requests of this page, with answers checked by the schemas of the contract. Every failure is an `ApiFailure` with
 * sentences for people. Knows nothing of the DOM.
 */
import { z } from './validator.ts';
import {
  activationSchema,
  classificationSchema,
  layerListSchema,
  modelDetailSchema,
  modelListSchema,
  problemSchema,
  sampleListSchema,
} from '../shared/api.ts';
import type { Activation, Classification, LayerList, ModelList, SampleList } from '../shared/api.ts';
import { parseNpy, type NpyArray } from './npy-array.ts';
import { toSentence } from './number-text.ts';

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
  return request('models', modelListSchema);
}

/** A model that the server need not list: one that was published and never answered by default. */
export async function readModel(id: string): Promise<Pick<ModelList['models'][number], 'id' | 'name' | 'classNames'>> {
  const { modelId, name, classNames } = await request(`models/${id}`, modelDetailSchema);
  return { id: modelId, name, classNames };
}

/** The layers of the model that answers, or of the one that is called `model`. */
export async function listLayers(model?: string): Promise<LayerList> {
  return request(`activations${formatQuery({ model })}`, layerListSchema);
}

export async function listSamples(): Promise<SampleList> {
  return request('samples', sampleListSchema);
}

/** Predictions for all `classes`, most likely first. Without `model`, the one that answers by default gives them. */
export async function classifyPicture(
  picture: Blob,
  { classes, model, signal }: { classes: number; model: string | undefined; signal: AbortSignal },
): Promise<Classification> {
  const path = `classify${formatQuery({ top_k: String(classes), model })}`;
  return request(path, classificationSchema, {
    method: 'POST',
    body: picture,
    // The server looks at the bytes; a type that the browser guessed from a file name says nothing.
    headers: { 'content-type': 'application/octet-stream' },
    signal,
  });
}

/** Statistics of each channel, and all values: [height, width, channels], or [features]. */
export interface LayerReading {
  activation: Activation;
  array: NpyArray;
}

interface LayerRequest {
  /** The input token of a picture that was classified. */
  token: string;
  /** Whether the picture is a sample; of any other nothing goes into the browser's cache: its address is the picture. */
  isSample: boolean;
  /** The whole id: statistics and values are of one model, also while the server changes its own, and may be kept. */
  model: string;
  signal: AbortSignal;
}

export async function readLayer(
  layer: string,
  { token, isSample, model, signal }: LayerRequest,
): Promise<LayerReading> {
  const init: RequestInit = { signal, cache: isSample ? 'default' : 'no-store' };
  const pathOf = (format: string): string =>
    `activations/${encodeURIComponent(layer)}${formatQuery({ input: token, model, format })}`;
  const [activation, body] = await Promise.all([
    request(pathOf('json'), activationSchema, init),
    fetchBody(pathOf('npy'), init),
  ]);
  return { activation, array: await parseArray(body) };
}

/** The bytes of a picture that the server itself offers. */
export async function fetchPicture(url: string, signal: AbortSignal): Promise<Blob> {
  return fetchBody(url, { signal });
}

function formatQuery(fields: Readonly<Record<string, string | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) query.set(name, value);
  return query.size === 0 ? '' : `?${query}`;
}

async function request<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
  init: RequestInit = {},
): Promise<z.infer<Schema>> {
  const requestHeaders = new Headers(init.headers);
  requestHeaders.set('accept', 'application/json');
  const body = await fetchBody(path, { ...init, headers: requestHeaders });
  const parsed = z.safeParse(schema, await parseJson(body));
  if (parsed.success) return parsed.data;
  throw unexpectedAnswer(parsed.error);
}

async function parseArray(body: Blob): Promise<NpyArray> {
  const buffer = await body.arrayBuffer();
  try {
    return parseNpy(buffer);
  } catch (error) {
    throw unexpectedAnswer(error);
  }
}

function unexpectedAnswer(cause: unknown): ApiFailure {
  return new ApiFailure(
    'The server answered in another way than this page expects.',
    'Page and server are probably of different versions. Reload the page.',
    { isTemporary: false, cause },
  );
}

/** The whole body of a good answer: a connection can also break in the middle of one. */
async function fetchBody(url: string, init: RequestInit): Promise<Blob> {
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
  return body;
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
  const problem = z.safeParse(problemSchema, await parseJson(body));
  if (problem.success) {
    return new ApiFailure(toSentence(problem.data.title), toSentence(problem.data.detail), { isTemporary });
  }
  return new ApiFailure(
    `The server answered with status ${status}.`,
    'It gave no reason. Try again; if it happens again, look at the log of the server.',
    { isTemporary },
  );
}
