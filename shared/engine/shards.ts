/**
 * The weights of a model as they lie in its files: one sequence of bytes over all shards, described by the weights
 * manifest. Read once, from the front; what has been read is let go.
 */
import { ProductError } from '../errors.ts';

export interface WeightSpec {
  name: string;
  shape: readonly number[];
  dtype: 'float32' | 'int32';
  quantization?:
    | { dtype: 'float16'; original_dtype: 'float32' }
    | { dtype: 'uint8'; min: number; scale: number; original_dtype: 'float32' };
}

/** How the kernels name the storage types (`kernels/pack-weights.ts`). */
const STORAGE_TYPES = { float32: 0, float16: 1, uint8: 2 } as const;
const STORAGE_BYTES = [4, 2, 1] as const;

export interface StoredWeight {
  name: string;
  shape: readonly number[];
  isInteger: boolean;
  storage: 0 | 1 | 2;
  bytesPerValue: number;
  /** Of `uint8`: value * scale + minimum. */
  scale: number;
  minimum: number;
  /** First byte, counted over all shards. */
  offset: number;
  size: number;
}

export class Shards {
  readonly #chunks: (Uint8Array | undefined)[];
  /** First byte of each chunk, and the end. */
  readonly #starts: number[] = [0];
  readonly weights: ReadonlyMap<string, StoredWeight>;

  /** Takes `chunks` out of its array, so that they are freed as they are read. Errors: `model/damaged`. */
  constructor(specs: readonly WeightSpec[], chunks: Uint8Array[]) {
    this.#chunks = chunks.splice(0);
    for (const chunk of this.#chunks) this.#starts.push((this.#starts.at(-1) ?? 0) + (chunk?.length ?? 0));
    const weights = new Map<string, StoredWeight>();
    let offset = 0;
    for (const { name, shape, dtype, quantization } of specs) {
      const storage = STORAGE_TYPES[quantization?.dtype ?? 'float32'];
      const bytesPerValue = STORAGE_BYTES[storage];
      const size = shape.reduce((product, dimension) => product * dimension, 1) * bytesPerValue;
      const { scale, min } = quantization?.dtype === 'uint8' ? quantization : { scale: 1, min: 0 };
      const isInteger = dtype === 'int32';
      weights.set(name, { name, shape, isInteger, storage, bytesPerValue, scale, minimum: min, offset, size });
      offset += size;
    }
    const held = this.#starts.at(-1) ?? 0;
    if (offset !== held) {
      throw new ProductError(
        'model/damaged',
        `the weights manifest describes ${offset} bytes, the shards have ${held}; copy the model folder again`,
      );
    }
    this.weights = weights;
  }

  /** Copy `target.length` bytes from `offset` on. */
  copy(offset: number, target: Uint8Array): void {
    let copied = 0;
    this.#chunks.forEach((chunk, index) => {
      const start = this.#starts[index] ?? 0;
      const from = offset + copied - start;
      if (chunk === undefined || copied === target.length || from < 0 || from >= chunk.length) return;
      const part = chunk.subarray(from, from + target.length - copied);
      target.set(part, copied);
      copied += part.length;
    });
    if (copied !== target.length) throw new Error(`internal: bytes from ${offset} on were read and let go before`);
  }

  /** The values of a small weight, as JavaScript numbers. */
  values(weight: StoredWeight): number[] {
    const bytes = new Uint8Array(weight.size);
    this.copy(weight.offset, bytes);
    const view = new DataView(bytes.buffer);
    return Array.from({ length: weight.size / weight.bytesPerValue }, (_, index) => {
      if (weight.isInteger) return view.getInt32(index * 4, true);
      if (weight.storage === STORAGE_TYPES.float32) return view.getFloat32(index * 4, true);
      if (weight.storage === STORAGE_TYPES.float16) return decodeFloat16(view.getUint16(index * 2, true));
      return (bytes[index] ?? 0) * weight.scale + weight.minimum;
    });
  }

  /** Let go of the chunks that end at or before `offset`. */
  release(offset: number): void {
    this.#chunks.forEach((_, index) => {
      if ((this.#starts[index + 1] ?? 0) <= offset) this.#chunks[index] = undefined;
    });
  }
}

/** Subnormals included; infinities and NaN do not occur in weights. */
function decodeFloat16(bits: number): number {
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  const magnitude = exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
  return bits & 0x8000 ? -magnitude : magnitude;
}
