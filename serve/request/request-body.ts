/**
 * Reading what a caller sends, with limits that count what arrives (a Content-Length is only a claim): raw bytes, JSON,
 * multipart files. What the bytes mean is decided elsewhere.
 */
import type { z } from 'zod';
import { API_LIMITS } from '../../shared/api.ts';
import { ProductError, type RequestErrorCode } from '../../shared/errors.ts';
import { openBody, type BodySource } from './body-source.ts';
import { ByteBlocks, gatherChunks } from './byte-blocks.ts';
import { readBoundary, writeFormType } from './form-boundary.ts';
import { countFormParts } from './form-parts.ts';
import { explainIssue, invalidRequest } from './invalid-request.ts';
import { checkJsonShape } from './json-shape.ts';
import { waitForCaller } from './upload-wait.ts';

/** Bytes that base64 and the JSON around it add to an image of the largest size. */
const JSON_LIMIT_BYTES = Math.ceil((API_LIMITS.bytesPerImage * 4) / 3) + 1024;

/** Parts of a form above the limit of its files that are still counted, so that the caller is told how many it sent. */
const SPARE_PARTS = 16;

export function isMultipart(request: Request): boolean {
  return mediaTypeOf(request) === 'multipart/form-data';
}

/** The body as it is. Errors: 'request/empty', 'image/too-large', 'request/aborted', 'request/timeout'. */
export function readRawBody(request: Request): Promise<Uint8Array<ArrayBuffer>> {
  return readBody(request, { maxBytes: API_LIMITS.bytesPerImage, code: 'image/too-large' });
}

/**
 * The files of a multipart body, in order.
 *
 * Memory   at its peak twice the body, then the body once; nothing else keeps the bytes of a file that was read
 * Errors   'request/empty' without a file, 'request/too-many-files', 'request/too-large', 'request/malformed-multipart',
 *          'request/invalid' for a field that is text, 'request/aborted', 'request/timeout'
 */
export async function readFiles(request: Request, { maxFiles }: { maxFiles: number }): Promise<File[]> {
  const files: File[] = [];
  const limits = { maxBytes: API_LIMITS.bytesPerRequest, maxParts: maxFiles + SPARE_PARTS };
  for (const [field, value] of (await parseForm(request, limits)).entries()) {
    if (typeof value === 'string') {
      throw new ProductError('request/invalid', `the form field "${field}" is text; only files are expected`);
    }
    files.push(value);
  }
  if (files.length === 0)
    throw new ProductError('request/empty', 'got a form without files; send at least one picture');
  if (files.length > maxFiles) {
    throw new ProductError('request/too-many-files', `got ${files.length} files; at most ${maxFiles} are expected`, {
      details: { maxFiles },
    });
  }
  return files;
}

export async function readFile(file: File): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await file.arrayBuffer());
}

/**
 * The bytes of one picture: the body as it is, or the one file of a form.
 *
 * Errors   those of `readRawBody` and `readFiles`
 */
export async function readOnePicture(request: Request): Promise<Uint8Array<ArrayBuffer>> {
  if (!isMultipart(request)) return readRawBody(request);
  const [file] = await readFiles(request, { maxFiles: 1 });
  if (file === undefined) throw new Error('internal: a form without files was accepted');
  return readFile(file);
}

/**
 * The JSON body in the given shape.
 *
 * Errors   'request/unsupported-media-type', 'request/empty', 'request/too-large', 'request/malformed-json',
 *          'request/too-complex', 'request/invalid', 'request/aborted', 'request/timeout'
 */
export async function readJsonBody<Schema extends z.ZodType>(
  request: Request,
  schema: Schema,
): Promise<z.output<Schema>> {
  const mediaType = mediaTypeOf(request);
  if (mediaType !== 'application/json') {
    throw new ProductError(
      'request/unsupported-media-type',
      `got content type "${mediaType}"; application/json is expected; to send the picture itself, use the route without /json`,
    );
  }
  const body = await readBody(request, { maxBytes: JSON_LIMIT_BYTES, code: 'request/too-large' });
  const parsed = schema.safeParse(parseJson(body, '{"image": "<base64>"}'), { error: explainIssue });
  if (parsed.success) return parsed.data;
  throw invalidRequest('the body', parsed.error);
}

/** Bytes of base64, with or without a data URL around it. Errors: 'image/base64'. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  const content = text.replace(/^data:[^,]*;base64,/i, '');
  let binary: string;
  try {
    binary = atob(content);
  } catch (cause) {
    throw new ProductError('image/base64', 'the image is not base64; the bytes of a file in base64 are expected', {
      cause,
    });
  }
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index++) bytes[index] = binary.charCodeAt(index);
  return bytes;
}

interface BodyLimit {
  maxBytes: number;
  code: RequestErrorCode;
}

/** Errors: the limit's code, 'request/empty', 'request/aborted', 'request/timeout'. */
export async function readBody(request: Pick<Request, 'body'>, limit: BodyLimit): Promise<Uint8Array<ArrayBuffer>> {
  const body = new ByteBlocks();
  for await (const chunk of readLimited(request, limit)) body.add(chunk);
  return body.take();
}

/** Errors: the limit's code, 'request/empty', 'request/aborted', 'request/timeout'. */
export async function* readLimited(
  request: Pick<Request, 'body'>,
  { maxBytes, code }: BodyLimit,
): AsyncGenerator<Uint8Array> {
  let sizeBytes = 0;
  for await (const chunk of readChunks(request)) {
    sizeBytes += chunk.length;
    if (sizeBytes > maxBytes) {
      throw new ProductError(code, `got more than ${maxBytes} bytes; send less, or smaller pictures`, {
        details: { maxBytes },
      });
    }
    yield chunk;
  }
  if (sizeBytes === 0) throw new ProductError('request/empty', 'got an empty body; send a PNG, JPEG or WebP file');
}

async function* readChunks(request: Pick<Request, 'body'>): AsyncGenerator<Uint8Array> {
  const body = openBody(request);
  if (body === undefined) return;
  const next = (): Promise<Uint8Array | undefined> => waitForCaller(request, () => readChunk(body));
  let isRead = false;
  try {
    for (let chunk = await next(); chunk !== undefined; chunk = await next()) yield chunk;
    isRead = true;
  } finally {
    // Who has the answer already may leave as it likes.
    if (!isRead) discardRest(body).catch(() => undefined);
  }
}

/**
 * Take what the caller still sends, up to a limit: many read no answer before they have sent everything, and the
 * connection stays good for the next request.
 */
async function discardRest(body: BodySource): Promise<void> {
  let leftBytes: number = API_LIMITS.bytesPerRequest;
  while (leftBytes > 0) {
    const chunk = await body.read();
    if (chunk === undefined) return;
    leftBytes -= chunk.length;
  }
  await body.cancel();
}

async function readChunk(body: BodySource): Promise<Uint8Array | undefined> {
  try {
    return await body.read();
  } catch (cause) {
    throw new ProductError('request/aborted', 'the body ended before it was complete; send it again', { cause });
  }
}

export interface FormLimits {
  maxBytes: number;
  /** A part takes much more memory than its bytes. */
  maxParts: number;
}

/** The parser reads the body itself, so that nobody else holds it meanwhile. */
export async function parseForm(request: Request, { maxBytes, maxParts }: FormLimits): Promise<FormData> {
  const boundary = readBoundary(request.headers.get('content-type') ?? '');
  const arriving = readLimited(request, { maxBytes, code: 'request/too-large' });
  const chunks = countFormParts(gatherChunks(arriving), { boundary, maxParts });
  let failure: unknown;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { value, done } = await chunks.next();
        if (done === true) controller.close();
        else controller.enqueue(value);
      } catch (error) {
        failure = error;
        controller.error(error);
      }
    },
    async cancel() {
      await chunks.return(undefined);
    },
  });
  try {
    return await new Response(body, { headers: { 'content-type': writeFormType(boundary) } }).formData();
  } catch (cause) {
    if (failure !== undefined) throw failure;
    throw new ProductError(
      'request/malformed-multipart',
      'the body is not the multipart/form-data that its content type announces; send it again, or send one picture as it is',
      { cause },
    );
  }
}

/** `expected` is what to send. Errors: 'request/malformed-json', 'request/too-complex'. */
export function parseJson(body: Uint8Array, expected: string): unknown {
  checkJsonShape(body);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(body)) as unknown;
  } catch (cause) {
    throw new ProductError('request/malformed-json', `the body is not JSON in UTF-8; send ${expected}`, {
      cause,
    });
  }
}

export function mediaTypeOf(request: Request): string {
  return (request.headers.get('content-type') ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}
