/**
 * Labelled pictures as a caller sends them, one after the other: records of the binary CIFAR-10 layout, lines of JSON,
 * or a form. Records and lines are read while they arrive; a form is held as a whole, because its parser does so.
 */
import { z } from 'zod';
import { API_LIMITS } from '../../shared/api.ts';
import { EVALUATION_MEDIA_TYPES } from '../../shared/evaluation-api.ts';
import { ProductError } from '../../shared/errors.ts';
import type { ModelManifest } from '../../shared/manifest.ts';
import { ByteBlocks } from './byte-blocks.ts';
import { explainIssue, invalidRequest } from './invalid-request.ts';
import { decodeBase64, mediaTypeOf, parseForm, parseJson, readFile, readLimited } from './request-body.ts';

export interface LabelledImage {
  /** A picture file, or pixels [height, width, channels] uint8 as the model takes them. */
  input: { file: Uint8Array } | { pixels: Uint8Array };
  /** Class id. */
  label: number;
  /** Place in the request, from 0. */
  index: number;
}

/** How much one request may send; the platform says. */
export interface EvaluationLimits {
  images: number;
  bytes: number;
  /** Evaluations that may go on at the same time. */
  running: number;
}

interface ReadOptions {
  manifest: ModelManifest;
  limits: EvaluationLimits;
}

/** Base64 of the largest picture, and the JSON around it. */
const LONGEST_LINE = Math.ceil((API_LIMITS.bytesPerImage * 4) / 3) + 1024;

const lineSchema = z.strictObject({ image: z.string().min(1), label: z.union([z.string(), z.int()]) });

/**
 * The pictures of a request. Whoever stops early calls `return()`, which frees the body.
 *
 * Errors   'request/unsupported-media-type', 'request/empty', 'request/too-large', 'request/too-many-files',
 *          'request/invalid', 'request/malformed-json', 'request/malformed-multipart', 'request/aborted', 'image/base64'
 */
export async function* readLabelledImages(request: Request, options: ReadOptions): AsyncGenerator<LabelledImage> {
  const mediaType = mediaTypeOf(request);
  const claimed = Number(request.headers.get('content-length') ?? 0);
  if (claimed > options.limits.bytes) throw tooLarge(options.limits.bytes);
  const read = READERS[mediaType];
  if (read === undefined) {
    throw new ProductError(
      'request/unsupported-media-type',
      `got content type "${mediaType}"; ${Object.keys(READERS).join(', ')} is expected`,
    );
  }
  let count = 0;
  for await (const image of read(request, options)) {
    count += 1;
    if (count > options.limits.images) throw tooMany(options.limits.images);
    yield image;
  }
  // Nothing but line ends, for example.
  if (count === 0) throw new ProductError('request/empty', 'got no labelled picture; at least one is expected');
}

/** How many pictures there will be, where the request says so: for progress only. */
export function predictCount(request: Request, { architecture: { inputShape } }: ModelManifest): number | null {
  const bytes = Number(request.headers.get('content-length') ?? 0);
  if (mediaTypeOf(request) !== EVALUATION_MEDIA_TYPES.records || bytes === 0) return null;
  return Math.floor(bytes / (1 + inputShape[0] * inputShape[1] * inputShape[2]));
}

const READERS: Readonly<
  Record<string, ((request: Request, options: ReadOptions) => AsyncGenerator<LabelledImage>) | undefined>
> = {
  [EVALUATION_MEDIA_TYPES.records]: readRecords,
  [EVALUATION_MEDIA_TYPES.lines]: readLines,
  [EVALUATION_MEDIA_TYPES.form]: readForm,
};

/** A label byte, then the planes [channels, height, width]. */
async function* readRecords(request: Request, { manifest, limits }: ReadOptions): AsyncGenerator<LabelledImage> {
  const [height, width, channels] = manifest.architecture.inputShape;
  const planeSize = height * width;
  const record = new Uint8Array(1 + planeSize * channels);
  let filled = 0;
  let index = 0;
  for await (const chunk of readLimited(request, { maxBytes: limits.bytes, code: 'request/too-large' })) {
    let offset = 0;
    while (offset < chunk.length) {
      const part = chunk.subarray(offset, offset + record.length - filled);
      record.set(part, filled);
      filled += part.length;
      offset += part.length;
      if (filled < record.length) continue;
      const pixels = new Uint8Array(planeSize * channels);
      for (let target = 0; target < pixels.length; target++) {
        pixels[target] = record[1 + (target % channels) * planeSize + Math.floor(target / channels)] ?? 0;
      }
      yield { input: { pixels }, label: toLabel(record[0] ?? -1, index, manifest), index };
      filled = 0;
      index += 1;
    }
  }
  if (filled === 0) return;
  throw new ProductError(
    'request/invalid',
    `the body ends after ${filled} bytes of record ${index}; records of ${record.length} bytes are expected: the class, then the planes of a ${height} x ${width} picture`,
    { details: { index } },
  );
}

async function* readLines(request: Request, options: ReadOptions): AsyncGenerator<LabelledImage> {
  let index = 0;
  for await (const line of splitLines(request, options.limits.bytes)) {
    const parsed = lineSchema.safeParse(parseJson(line, '{"image": "<base64>", "label": "<class>"} on each line'), {
      error: explainIssue,
    });
    if (!parsed.success) throw invalidRequest(`line ${index}`, parsed.error);
    const { image, label } = parsed.data;
    yield { input: { file: decodeBase64(image) }, label: toLabel(label, index, options.manifest), index };
    index += 1;
  }
}

/** Lines that are not empty, without their ends. */
async function* splitLines(request: Request, maxBytes: number): AsyncGenerator<Uint8Array> {
  const rest = new ByteBlocks();
  for await (const chunk of readLimited(request, { maxBytes, code: 'request/too-large' })) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      rest.add(chunk.subarray(start, end));
      const line = rest.take();
      start = end + 1;
      if (line.some((byte) => byte > SPACE)) yield line;
    }
    rest.add(chunk.subarray(start));
    if (rest.length > LONGEST_LINE) throw tooLarge(LONGEST_LINE);
  }
  const line = rest.take();
  if (line.some((byte) => byte > SPACE)) yield line;
}

const NEWLINE = 10;
const SPACE = 32;

/** Of a form: its end, the labels, and some too many, so that the caller is told what is wrong with them. */
const SPARE_PARTS = 16;

/** Files; their labels in the field `labels`, in their order, else at the beginning of their names. */
async function* readForm(request: Request, options: ReadOptions): AsyncGenerator<LabelledImage> {
  const { manifest, limits } = options;
  const files: File[] = [];
  let labels: string[] | undefined;
  const form = { maxBytes: limits.bytes, maxParts: limits.images + SPARE_PARTS };
  for (const [field, value] of (await parseForm(request, form)).entries()) {
    if (typeof value !== 'string') files.push(value);
    else if (field === 'labels' && labels === undefined) labels = value.split(',').map((label) => label.trim());
    else {
      throw new ProductError(
        'request/invalid',
        `the form has the text "${field}"; files and one field "labels" are expected`,
      );
    }
  }
  if (files.length === 0)
    throw new ProductError('request/empty', 'got a form without files; send at least one picture');
  if (files.length > limits.images) throw tooMany(limits.images);
  if (labels !== undefined && labels.length !== files.length) {
    throw new ProductError(
      'request/invalid',
      `got ${labels.length} labels for ${files.length} files; one for each is expected, with commas between them`,
    );
  }
  for (const [index, file] of files.entries()) {
    const label = labels?.[index] ?? findClass(file.name, manifest.classNames) ?? file.name;
    yield { input: { file: await readFile(file) }, label: toLabel(label, index, manifest), index };
  }
}

/** The class that a name begins with, as in `cat/12.png`, `cat-12.png` or `cat.png`; the longest one. */
function findClass(name: string, classNames: readonly string[]): string | undefined {
  return classNames
    .filter((label) => name.startsWith(label) && !/^[a-z0-9]/i.test(name.slice(label.length)))
    .toSorted((a, b) => b.length - a.length)[0];
}

/** By name, or by number as in the order of the classes. */
function toLabel(label: string | number, index: number, { classNames }: ModelManifest): number {
  const named = typeof label === 'string' ? classNames.indexOf(label) : -1;
  if (named !== -1) return named;
  const id = typeof label === 'string' && /^\d+$/.test(label) ? Number(label) : label;
  if (typeof id === 'number' && id >= 0 && id < classNames.length) return id;
  throw new ProductError(
    'request/invalid',
    `picture ${index} has the label "${label}"; one of ${classNames.join(', ')} is expected, or a number from 0 to ${classNames.length - 1}`,
    { details: { index, classNames } },
  );
}

function tooMany(images: number): ProductError {
  return new ProductError(
    'request/too-many-files',
    `got more than ${images} pictures; this server evaluates so many in one request; send the others in another one`,
    { details: { images } },
  );
}

function tooLarge(maxBytes: number): ProductError {
  return new ProductError(
    'request/too-large',
    `got more than ${maxBytes} bytes; send fewer pictures, or smaller ones`,
    {
      details: { maxBytes },
    },
  );
}
