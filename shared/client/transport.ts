/** Requests and answers before they mean anything: addresses, bodies, and every failure as an `ApiError`. */
import type { z } from 'zod';
import { invalidRequest, parseJson, toApiError, unexpectedAnswer, unreachable } from './api-error.ts';

export interface ClientOptions {
  /** Sent with each request, for example an API key. */
  headers?: Readonly<Record<string, string>> | undefined;
  /** In place of the platform's own, for example `(request) => env.CLASSIFIER.fetch(request)` of a service binding. */
  fetch?: ((request: Request) => Promise<Response>) | undefined;
}

/** What every method takes. An aborted request rejects with the signal's reason. */
export interface RequestOptions {
  signal?: AbortSignal | undefined;
  /** Of a browser: `no-store` for pictures that must not stay on its disk. */
  cache?: 'default' | 'no-store' | undefined;
}

/** The bytes of a PNG, JPEG or WebP file. */
export type Picture = Blob | Uint8Array | ArrayBuffer;

/** The body of a request as bytes. */
export function toBlob(bytes: Picture): Blob {
  // Its views are of an ArrayBuffer in all that has no threads of its own; a Blob copies either.
  return bytes instanceof Blob ? bytes : new Blob([bytes as ArrayBuffer]);
}

export interface Call extends RequestOptions {
  method?: 'GET' | 'POST';
  query?: Readonly<Record<string, string | number | boolean | undefined>>;
  body?: Blob | FormData | string | undefined;
  contentType?: string | undefined;
  headers?: Readonly<Record<string, string>>;
}

/** A good answer, read to its end. */
export interface Answer {
  status: number;
  headers: Headers;
  body: ArrayBuffer;
}

export class Transport {
  readonly #base: URL;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #fetch: (request: Request) => Promise<Response>;

  /** Paths are resolved against `base`, which may be below the root of its host. */
  constructor(base: string | URL, { headers = {}, fetch: send = (request) => fetch(request) }: ClientOptions = {}) {
    this.#base = new URL(base);
    if (!this.#base.pathname.endsWith('/')) this.#base.pathname += '/';
    this.#headers = headers;
    this.#fetch = send;
  }

  /** A good answer whose body is not read yet. Errors: `ApiError`; the signal's reason. */
  async send(path: string, call: Call = {}): Promise<Response> {
    const { signal } = call;
    const request = this.#makeRequest(path, call);
    // What is in the caller's hands may throw before it waits.
    const response = await guard((async () => this.#fetch(request))(), signal);
    if (response.ok) return response;
    throw toApiError(await guard(response.text(), signal), response);
  }

  /** Errors: 'client/invalid-request'. */
  #makeRequest(path: string, call: Call): Request {
    const { signal, cache, method = 'GET', body = null, query = {}, contentType, headers } = call;
    try {
      const url = new URL(path, this.#base);
      // The headers may hold a key, which is this server's alone.
      if (url.origin !== this.#base.origin) throw new Error(`${url.origin} is not ${this.#base.origin}`);
      for (const [name, value] of Object.entries(query)) {
        if (value !== undefined) url.searchParams.set(name, String(value));
      }
      return new Request(url, {
        method,
        body,
        headers: {
          ...this.#headers,
          ...headers,
          ...(contentType === undefined ? {} : { 'content-type': contentType }),
        },
        ...(cache === undefined ? {} : { cache }),
        ...(signal === undefined ? {} : { signal }),
      });
    } catch (cause) {
      throw invalidRequest(cause);
    }
  }

  async read(path: string, call: Call = {}): Promise<Answer> {
    const response = await this.send(path, call);
    // A connection can also break in the middle of an answer.
    const body = await guard(response.arrayBuffer(), call.signal);
    return { status: response.status, headers: response.headers, body };
  }

  /** An answer in JSON that has the shape. */
  async readJson<Schema extends z.ZodType>(path: string, schema: Schema, call: Call = {}): Promise<z.infer<Schema>> {
    const answer = await this.read(path, { ...call, headers: { accept: 'application/json', ...call.headers } });
    return parseAnswer(answer, schema);
  }
}

/** Errors: 'client/unexpected-answer'. */
export function parseAnswer<Schema extends z.ZodType>(answer: Answer, schema: Schema): z.infer<Schema> {
  const parsed = schema.safeParse(parseJson(new TextDecoder().decode(answer.body)));
  if (parsed.success) return parsed.data;
  throw unexpectedAnswer(parsed.error, answer);
}

/** Waits; whatever goes wrong, other than by the caller's own wish, is the connection's fault. */
export async function guard<Value>(waiting: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  try {
    return await waiting;
  } catch (cause) {
    if (signal?.aborted === true) throw signal.reason;
    throw unreachable(cause);
  }
}
