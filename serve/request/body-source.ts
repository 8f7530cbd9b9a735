/**
 * Where the bytes of a request come from. A platform that has them in a form of its own hands them on as that: on Node the
 * web stream around an incoming message costs more than reading a small picture, and its objects, which a finalizer
 * watches, stay until the old generation is collected.
 */

export interface BodySource {
  /** What has arrived since, once something has; undefined at the end. Rejects when the body ends before it is complete. */
  read(): Promise<Uint8Array | undefined>;
  /** Take no more of it; the connection ends where more would come. */
  cancel(): Promise<void>;
}

/** On the request itself: what the values of a WeakMap hold stays until the old generation is collected, in V8. */
const OFFERED = Symbol('offered body');

type RequestWithSource = Pick<Request, 'body'> & { [OFFERED]?: BodySource };

/** From now on the body of `request` is read from `source`, and its own stream is left alone. */
export function offerBody(request: RequestWithSource, source: BodySource): void {
  request[OFFERED] = source;
}

/** Once for each request. Undefined: there is no body. */
export function openBody(request: RequestWithSource): BodySource | undefined {
  const source = request[OFFERED];
  if (source !== undefined || request.body === null) return source;
  const reader = request.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  return { read: async () => (await reader.read()).value, cancel: () => reader.cancel() };
}
