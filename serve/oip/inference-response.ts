/** The answer of an inference request: JSON, or a JSON header followed by the bytes of the outputs that want it so. */
import { ProductError } from '../../shared/errors.ts';
import { toDecimal } from '../answer/decimal.ts';
import { OIP_HEADER_LENGTH, type OipInferenceResponse } from '../../shared/oip-api.ts';
import { OUTPUT_DATATYPE } from './tensor-contract.ts';

export const HEADER_LENGTH = OIP_HEADER_LENGTH;

export interface OutputTensor {
  name: string;
  /** With the batch. */
  shape: readonly number[];
  /** row-major */
  values: Float32Array<ArrayBuffer>;
  isBinary: boolean;
}

export interface InferenceAnswer {
  body: Uint8Array<ArrayBuffer>;
  headers: Record<string, string>;
}

/** Errors: 'internal' for a value that JSON does not have. */
export function writeAnswer(
  head: Omit<OipInferenceResponse, 'outputs'>,
  outputs: readonly OutputTensor[],
): InferenceAnswer {
  const response: OipInferenceResponse = { ...head, outputs: outputs.map(describeOutput) };
  const json = new TextEncoder().encode(JSON.stringify(response));
  const tensors = outputs.filter(({ isBinary }) => isBinary).map(({ values }) => toLittleEndian(values));
  const body = new Uint8Array(tensors.reduce((sum, { length }) => sum + length, json.length));
  body.set(json);
  let offset = json.length;
  for (const bytes of tensors) {
    body.set(bytes, offset);
    offset += bytes.length;
  }
  if (tensors.length === 0) return { body, headers: { 'content-type': 'application/json' } };
  return { body, headers: { 'content-type': 'application/octet-stream', [HEADER_LENGTH]: String(json.length) } };
}

function describeOutput({ name, shape, values, isBinary }: OutputTensor): OipInferenceResponse['outputs'][number] {
  const description = { name, datatype: OUTPUT_DATATYPE, shape: [...shape] };
  if (isBinary) return { ...description, parameters: { binary_data_size: values.byteLength } };
  if (!values.every(Number.isFinite)) {
    throw new ProductError(
      'internal',
      `output "${name}" has a value that JSON does not have (NaN or infinite); ask for it as bytes ("binary_data": true)`,
    );
  }
  return { ...description, data: Array.from(values, toDecimal) };
}

const IS_LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

function toLittleEndian(values: Float32Array<ArrayBuffer>): Uint8Array {
  if (IS_LITTLE_ENDIAN) return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const view = new DataView(new ArrayBuffer(values.byteLength));
  values.forEach((value, index) => view.setFloat32(index * 4, value, true));
  return new Uint8Array(view.buffer);
}
