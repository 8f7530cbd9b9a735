/** The server under test as the cases see it: its model's metadata, good requests for it, and answers taken apart. */
import { z } from 'zod';
import { demand, Deviation, show } from './oip-case.ts';
import { countOf, DATATYPES, fromBytes, makeValues, toBytes, type TensorMetadata } from './tensor-values.ts';

/** One request; `path` is relative, as `v2/health/live`. */
export type Send = (path: string, init?: RequestInit) => Promise<Response>;

export interface OipTarget {
  send: Send;
  model: string;
  metadata: ModelMetadata;
  extensions: readonly string[];
  /** Shapes by input name, where the metadata's variable sizes are not to be 1. */
  shapes: Readonly<Record<string, readonly number[]>>;
}

export const HEADER_LENGTH = 'inference-header-content-length';

const tensorMetadataSchema = z.object({
  name: z.string(),
  datatype: z.enum(DATATYPES),
  shape: z.array(z.int().min(-1)),
});

export const serverMetadataSchema = z.object({
  name: z.string(),
  version: z.string(),
  extensions: z.array(z.string()),
});

export const modelMetadataSchema = z.object({
  name: z.string(),
  versions: z.array(z.string()).optional(),
  platform: z.string(),
  inputs: z.array(tensorMetadataSchema),
  outputs: z.array(tensorMetadataSchema),
});

export type ModelMetadata = z.infer<typeof modelMetadataSchema>;

const answerSchema = z.object({
  model_name: z.string(),
  model_version: z.string().optional(),
  id: z.string().optional(),
  outputs: z.array(
    z.object({
      name: z.string(),
      datatype: z.enum(DATATYPES),
      shape: z.array(z.int().nonnegative()),
      parameters: z.record(z.string(), z.unknown()).optional(),
      data: z.array(z.unknown()).optional(),
    }),
  ),
});

export interface Answer {
  modelName: string;
  modelVersion: string | undefined;
  id: string | undefined;
  outputs: { name: string; datatype: string; shape: number[]; values: unknown[]; isBinary: boolean }[];
}

export type RequestInput = Record<string, unknown> & { name: string };

/** Parts of a request that a case changes. */
export type Request = Record<string, unknown> & { inputs: RequestInput[] };

/** The metadata's shape with 1 for what is variable; `batch` for the first axis if that is variable. */
function shapeOf({ shapes }: OipTarget, { name, shape }: TensorMetadata, batch = 1): number[] {
  const given = shapes[name];
  const sizes = given ?? shape.map((size) => (size === -1 ? 1 : size));
  return shape[0] === -1 ? [batch, ...sizes.slice(1)] : [...sizes];
}

/** Good inputs as flat JSON. */
export function makeInputs(target: OipTarget, { seed = 0, batch = 1 } = {}): RequestInput[] {
  return target.metadata.inputs.map((input) => {
    const shape = shapeOf(target, input, batch);
    const data = makeValues(input.datatype, countOf(shape), seed);
    return { name: input.name, shape, datatype: input.datatype, data };
  });
}

/** The same inputs for the binary extension: without data, and the bytes that follow the JSON. */
export function makeBinaryInputs(target: OipTarget): { inputs: RequestInput[]; tail: Uint8Array<ArrayBuffer> } {
  const parts = target.metadata.inputs.map((input) =>
    toBytes(input.datatype, makeValues(input.datatype, countOf(shapeOf(target, input)))),
  );
  const inputs = target.metadata.inputs.map((input, index) => ({
    name: input.name,
    shape: shapeOf(target, input),
    datatype: input.datatype,
    parameters: { binary_data_size: parts[index]?.length ?? 0 },
  }));
  return { inputs, tail: join(parts) };
}

export function inferPath({ model }: Pick<OipTarget, 'model'>, version?: string): string {
  return `${modelPath(model, version)}/infer`;
}

export function modelPath(model: string, version?: string): string {
  const path = `v2/models/${encodeURIComponent(model)}`;
  return version === undefined ? path : `${path}/versions/${encodeURIComponent(version)}`;
}

export function postJson(target: OipTarget, request: unknown, path = inferPath(target)): Promise<Response> {
  return postText(target, JSON.stringify(request), path);
}

export function postText(target: OipTarget, body: BodyInit, path = inferPath(target)): Promise<Response> {
  return target.send(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
}

/** `headerLength` replaces the true length of the JSON. */
export function postBinary(
  target: OipTarget,
  request: unknown,
  tail: Uint8Array<ArrayBuffer>,
  headerLength?: string,
): Promise<Response> {
  const json = new TextEncoder().encode(JSON.stringify(request));
  return target.send(inferPath(target), {
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream', [HEADER_LENGTH]: headerLength ?? String(json.length) },
    body: join([json, tail]),
  });
}

/** A good answer with all values read. */
export async function readAnswer(response: Response): Promise<Answer> {
  const bytes = new Uint8Array(await response.arrayBuffer());
  demand(response.status === 200, `status ${response.status}: ${new TextDecoder().decode(bytes.slice(0, 300))}`);
  const headerLength = response.headers.get(HEADER_LENGTH);
  const jsonBytes = headerLength === null ? bytes.length : Number(headerLength);
  demand(jsonBytes <= bytes.length, `the header announces ${headerLength} bytes of JSON, the body has ${bytes.length}`);
  const answer = parse(answerSchema, readJson(new TextDecoder().decode(bytes.subarray(0, jsonBytes))));
  let offset = jsonBytes;
  const outputs = answer.outputs.map(({ name, datatype, shape, parameters, data }) => {
    const size = parameters?.['binary_data_size'];
    if (size === undefined) {
      demand(data !== undefined, `output "${name}" has no data`);
      return { name, datatype, shape, values: data.flat(shape.length), isBinary: false };
    }
    demand(typeof size === 'number', `binary_data_size of output "${name}" is ${show(size)}`);
    demand(data === undefined, `output "${name}" has data and binary_data_size`);
    const values = fromBytes(datatype, bytes.slice(offset, offset + size));
    offset += size;
    return { name, datatype, shape, values, isBinary: true };
  });
  demand(offset === bytes.length, `the body has ${bytes.length} bytes, its JSON and tensors ${offset}`);
  for (const { name, shape, values } of outputs) {
    demand(values.length === countOf(shape), `output "${name}" has ${values.length} values in shape ${show(shape)}`);
  }
  return { modelName: answer.model_name, modelVersion: answer.model_version, id: answer.id, outputs };
}

/** A refusal: an HTTP error of the caller with the protocol's body and nothing that only programmers understand. */
export async function readRefusal(response: Response): Promise<string> {
  const text = await response.text();
  demand(response.status >= 400 && response.status < 500, `status ${response.status}: ${show(text)}`);
  return readErrorText(text);
}

/** `{"error": string}` and nothing else. */
export function readErrorText(text: string): string {
  const { error } = parse(z.strictObject({ error: z.string().min(1) }), readJson(text));
  demand(
    !/node_modules|Traceback|\bat \S+ \(|\.(?:py|ts|js|cc|java):\d+/.test(error),
    `it tells a stack: ${show(error)}`,
  );
  return error;
}

export async function readBody<Value>(response: Response, schema: z.ZodType<Value>): Promise<Value> {
  const text = await response.text();
  demand(response.status === 200, `status ${response.status}: ${show(text)}`);
  return parse(schema, readJson(text));
}

function parse<Value>(schema: z.ZodType<Value>, value: unknown): Value {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new Deviation(`${z.prettifyError(parsed.error).replaceAll('\n', ' ')} in ${show(value)}`);
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new Deviation(`the body is not JSON: ${show(text)}`);
  }
}

/** Whether all values are the same, up to what a server's arithmetic may change from run to run. */
export function demandSameValues(actual: Answer, expected: Answer): void {
  for (const output of expected.outputs) {
    const other = actual.outputs.find(({ name }) => name === output.name);
    demand(other !== undefined, `output "${output.name}" is missing`);
    demand(other.values.length === output.values.length, `output "${output.name}" has ${other.values.length} values`);
    const place = output.values.findIndex((value, index) => !isClose(other.values[index], value));
    const [got, wanted] = [other.values[place], output.values[place]];
    demand(place === -1, `output "${output.name}" has ${show(got)} at place ${place}, expected ${show(wanted)}`);
  }
}

function isClose(actual: unknown, expected: unknown): boolean {
  if (typeof actual !== 'number' || typeof expected !== 'number') return Object.is(actual, expected);
  return Math.abs(actual - expected) <= 1e-5 * Math.max(1, Math.abs(expected));
}

export function join(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}
