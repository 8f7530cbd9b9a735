/**
 * An inference request as it is on the wire, without knowing the model: JSON, or a JSON header followed by the bytes of
 * tensors (Triton's binary tensor data extension), or only the bytes of one tensor.
 *
 * Optional fields may be null, as clients send that fill in every field; fields that the protocol does not have are
 * ignored, as KServe's client sends `model_name`.
 */
import { ProductError } from '../../shared/errors.ts';
import { checkJsonShape } from '../request/json-shape.ts';
import { describeValue, readCount, readFlag, readList, readObject, readText, refuse } from './json-value.ts';
import type { JsonObject } from './json-value.ts';
import { DATATYPES } from '../../shared/oip-api.ts';

export interface InputTensor {
  name: string;
  datatype: string;
  shape: readonly number[];
  /** Nested or flat JSON, or the tensor's bytes. */
  content: { data: readonly unknown[] } | { bytes: Uint8Array };
}

export interface WantedOutput {
  name: string;
  isBinary: boolean;
}

export interface InferenceMessage {
  id: string | undefined;
  inputs: readonly InputTensor[];
  /** Undefined: all that the model puts out by default. */
  outputs: readonly WantedOutput[] | undefined;
  /** How outputs travel that do not say it themselves. */
  isBinaryByDefault: boolean;
}

/** The body of a raw request: one tensor, whose shape follows from its size. */
export interface RawMessage {
  bytes: Uint8Array;
}

/** Parameters of extensions that the server does not have: ignored, they would change what the answer means. */
const FOREIGN_PARAMETERS = ['classification', 'shared_memory_region', 'shared_memory_byte_size'];

/** `headerLength` is the header Inference-Header-Content-Length, if any. Errors: 'request/invalid', 'request/malformed-json'. */
export function parseMessage(body: Uint8Array, headerLength: string | undefined): InferenceMessage | RawMessage {
  const jsonBytes = headerLength === undefined ? body.length : parseHeaderLength(headerLength, body.length);
  if (headerLength !== undefined && jsonBytes === 0) return { bytes: body };
  const message = readObject(parseJsonText(body.subarray(0, jsonBytes)), 'the body');
  const parameters = readParameters(message['parameters'], 'parameters');
  const inputs = readInputs(message['inputs'], body.subarray(jsonBytes));
  const isBinaryByDefault =
    readOptionalFlag(parameters['binary_data_output'], 'parameters.binary_data_output') ?? false;
  const id = message['id'] ?? undefined;
  return {
    id: id === undefined ? undefined : readText(id, 'id'),
    inputs,
    outputs: readOutputs(message['outputs'], isBinaryByDefault),
    isBinaryByDefault,
  };
}

/** Errors: 'request/malformed-json', 'request/too-complex'. */
export function parseJsonText(bytes: Uint8Array): unknown {
  if (bytes.length === 0) throw new ProductError('request/malformed-json', 'the body is empty; JSON is expected');
  checkJsonShape(bytes);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes)) as unknown;
  } catch (cause) {
    const advice = 'for tensors as bytes the header Inference-Header-Content-Length must say where the JSON ends';
    throw new ProductError('request/malformed-json', `the body is not JSON in UTF-8; ${advice}`, { cause });
  }
}

function parseHeaderLength(text: string, bodyBytes: number): number {
  const length = /^\d{1,15}$/.test(text) ? Number(text) : undefined;
  if (length !== undefined && length <= bodyBytes) return length;
  return refuse(
    `Inference-Header-Content-Length is "${text}"; the bytes of the JSON part are expected, from 0 to the ${bodyBytes} of the body`,
  );
}

function readParameters(value: unknown, place: string): JsonObject {
  const parameters = readObject(value ?? {}, place);
  for (const [name, each] of Object.entries(parameters)) {
    if (!['string', 'number', 'boolean'].includes(typeof each)) {
      refuse(`${place}.${name} is ${describeValue(each)}; a string, a number or a boolean is expected`);
    }
    if (FOREIGN_PARAMETERS.includes(name)) refuse(`${place}.${name} is of an extension that this server does not have`);
  }
  return parameters;
}

function readOptionalFlag(value: unknown, place: string): boolean | undefined {
  return value === undefined ? undefined : readFlag(value, place);
}

/** Tensors as bytes follow each other in the order of the inputs that announce them, and nothing else follows. */
function readInputs(value: unknown, tail: Uint8Array): InputTensor[] {
  let offset = 0;
  const names = new Set<string>();
  const inputs = readList(value, 'inputs').map((each, index) => {
    const place = `inputs[${index}]`;
    const input = readObject(each, place);
    const name = readText(input['name'], `${place}.name`);
    if (names.has(name)) refuse(`input "${name}" is there twice; each input is expected once`);
    names.add(name);
    const parameters = readParameters(input['parameters'], `${place}.parameters`);
    const size = parameters['binary_data_size'];
    const data = input['data'] ?? undefined;
    if ((size === undefined) === (data === undefined)) {
      refuse(
        `input "${name}" has ${size === undefined ? 'neither' : 'both'} data and binary_data_size; one is expected`,
      );
    }
    let content: InputTensor['content'];
    if (size === undefined) content = { data: readList(data, `data of input "${name}"`) };
    else {
      const sizeBytes = readCount(size, `binary_data_size of input "${name}"`);
      const missing = sizeBytes - (tail.length - offset);
      if (missing > 0) refuse(`input "${name}" announces ${sizeBytes} bytes; the body ends ${missing} bytes too early`);
      content = { bytes: tail.subarray(offset, offset + sizeBytes) };
      offset += sizeBytes;
    }
    const shape = readList(input['shape'], `${place}.shape`).map((axisSize, axis) =>
      readCount(axisSize, `${place}.shape[${axis}]`),
    );
    return { name, datatype: readDatatype(input['datatype'], `${place}.datatype`), shape, content };
  });
  const unused = tail.length - offset;
  if (unused > 0) refuse(`${unused} bytes follow the tensors that the JSON announces; the body must end with them`);
  return inputs;
}

function readDatatype(value: unknown, place: string): string {
  const datatype = readText(value, place);
  if (DATATYPES.includes(datatype)) return datatype;
  return refuse(`${place} is ${describeValue(datatype)}; one of ${DATATYPES.join(', ')} is expected`);
}

/** No list and an empty one ask for the same. */
function readOutputs(value: unknown, isBinaryByDefault: boolean): WantedOutput[] | undefined {
  const list = readList(value ?? [], 'outputs');
  if (list.length === 0) return undefined;
  const names = new Set<string>();
  return list.map((each, index) => {
    const place = `outputs[${index}]`;
    const output = readObject(each, place);
    const name = readText(output['name'], `${place}.name`);
    if (names.has(name)) refuse(`output "${name}" is asked for twice; each output is expected once`);
    names.add(name);
    const parameters = readParameters(output['parameters'], `${place}.parameters`);
    const isBinary = readOptionalFlag(parameters['binary_data'], `${place}.parameters.binary_data`);
    return { name, isBinary: isBinary ?? isBinaryByDefault };
  });
}
