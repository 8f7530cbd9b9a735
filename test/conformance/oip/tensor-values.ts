/** Tensors of the protocol's datatypes: values that fit, values that do not, and their bytes (little-endian, row-major). */
import { Deviation, NotApplicable } from './oip-case.ts';

export interface TensorMetadata {
  name: string;
  datatype: string;
  shape: readonly number[];
}

export interface IntegerRange {
  min: number;
  max: number;
}

/** What JSON numbers carry exactly; the 64-bit types have no entry. */
const INTEGER_RANGES: Readonly<Record<string, IntegerRange>> = {
  UINT8: { min: 0, max: 255 },
  UINT16: { min: 0, max: 65_535 },
  UINT32: { min: 0, max: 4_294_967_295 },
  INT8: { min: -128, max: 127 },
  INT16: { min: -32_768, max: 32_767 },
  INT32: { min: -2_147_483_648, max: 2_147_483_647 },
};

type Write = (view: DataView, offset: number, value: number) => void;

/** Bytes of one element and how they are written and read. */
const NUMBERS: Readonly<Record<string, { bytes: number; write: Write; read: (view: DataView, at: number) => number }>> =
  {
    BOOL: number(
      1,
      (view, at, value) => view.setUint8(at, value),
      (view, at) => view.getUint8(at),
    ),
    UINT8: number(
      1,
      (view, at, value) => view.setUint8(at, value),
      (view, at) => view.getUint8(at),
    ),
    INT8: number(
      1,
      (view, at, value) => view.setInt8(at, value),
      (view, at) => view.getInt8(at),
    ),
    UINT16: number(
      2,
      (view, at, value) => view.setUint16(at, value, true),
      (view, at) => view.getUint16(at, true),
    ),
    INT16: number(
      2,
      (view, at, value) => view.setInt16(at, value, true),
      (view, at) => view.getInt16(at, true),
    ),
    UINT32: number(
      4,
      (view, at, value) => view.setUint32(at, value, true),
      (view, at) => view.getUint32(at, true),
    ),
    INT32: number(
      4,
      (view, at, value) => view.setInt32(at, value, true),
      (view, at) => view.getInt32(at, true),
    ),
    UINT64: number(
      8,
      (view, at, value) => view.setBigUint64(at, BigInt(value), true),
      (view, at) => Number(view.getBigUint64(at, true)),
    ),
    INT64: number(
      8,
      (view, at, value) => view.setBigInt64(at, BigInt(value), true),
      (view, at) => Number(view.getBigInt64(at, true)),
    ),
    FP32: number(
      4,
      (view, at, value) => view.setFloat32(at, value, true),
      (view, at) => view.getFloat32(at, true),
    ),
    FP64: number(
      8,
      (view, at, value) => view.setFloat64(at, value, true),
      (view, at) => view.getFloat64(at, true),
    ),
  };

function number(bytes: number, write: Write, read: (view: DataView, at: number) => number) {
  return { bytes, write, read };
}

export const DATATYPES = [...Object.keys(NUMBERS), 'FP16', 'BF16', 'BYTES'];

export function rangeOf(datatype: string): IntegerRange | undefined {
  return INTEGER_RANGES[datatype];
}

export function countOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Values that the datatype has, different from place to place and for each `seed`. */
export function makeValues(datatype: string, count: number, seed = 0): (number | boolean | string)[] {
  return Array.from({ length: count }, (_, index) => {
    const value = (index * 37 + seed * 101 + 11) % 128;
    if (datatype === 'BOOL') return value % 2 === 1;
    if (datatype === 'BYTES') return `text ${value}`;
    return datatype.startsWith('FP') || datatype === 'BF16' ? value / 128 : value;
  });
}

/** Row-major values in the natural shape. */
export function nest(values: readonly unknown[], shape: readonly number[]): unknown {
  const [size = 1, ...rest] = shape;
  if (rest.length === 0) return [...values];
  const step = countOf(rest);
  return Array.from({ length: size }, (_, index) => nest(values.slice(index * step, (index + 1) * step), rest));
}

export function toBytes(datatype: string, values: readonly (number | boolean | string)[]): Uint8Array<ArrayBuffer> {
  if (datatype === 'BYTES') return joinTexts(values.map(String));
  const format = NUMBERS[datatype];
  if (format === undefined) throw new NotApplicable(`this suite does not write ${datatype}`);
  const view = new DataView(new ArrayBuffer(values.length * format.bytes));
  values.forEach((value, index) => format.write(view, index * format.bytes, Number(value)));
  return new Uint8Array(view.buffer);
}

/** Each with its length in 4 bytes before it. */
function joinTexts(texts: readonly string[]): Uint8Array<ArrayBuffer> {
  const parts = texts.map((text) => new TextEncoder().encode(text));
  const view = new DataView(new ArrayBuffer(parts.reduce((sum, { length }) => sum + 4 + length, 0)));
  let offset = 0;
  for (const part of parts) {
    view.setUint32(offset, part.length, true);
    new Uint8Array(view.buffer).set(part, offset + 4);
    offset += 4 + part.length;
  }
  return new Uint8Array(view.buffer);
}

/** Numbers of a binary output. */
export function fromBytes(datatype: string, bytes: Uint8Array<ArrayBuffer>): number[] {
  const format = NUMBERS[datatype];
  if (format === undefined) throw new NotApplicable(`this suite does not read ${datatype}`);
  if (bytes.length % format.bytes !== 0) throw new Deviation(`${bytes.length} bytes are no whole ${datatype} values`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length / format.bytes }, (_, index) => format.read(view, index * format.bytes));
}
