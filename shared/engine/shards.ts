/**
 * The weights of a model as they lie in its files: one sequence of bytes over all shards, described by the weights
 * manifest. Read once, from the front, as the shards arrive; what has been read is let go.
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

/** Where each weight lies, by name, in the order of the file. */
export function locateWeights(specs: readonly WeightSpec[]): ReadonlyMap<string, StoredWeight> {
  const weights = new Map<string, StoredWeight>();
  let offset = 0;
  for (const { name, shape, dtype, quantization } of specs) {
    const storage = STORAGE_TYPES[quantization?.dtype ?? 'float32'];
    const bytesPerValue = STORAGE_BYTES[storage];
    const size = countValues(shape) * bytesPerValue;
    const { scale, min } = quantization?.dtype === 'uint8' ? quantization : { scale: 1, min: 0 };
    const isInteger = dtype === 'int32';
    weights.set(name, { name, shape, isInteger, storage, bytesPerValue, scale, minimum: min, offset, size });
    offset += size;
  }
  return weights;
}

export class Shards {
  readonly weights: ReadonlyMap<string, StoredWeight>;
  readonly #chunks: (Uint8Array | undefined)[] = [];
  /** First byte of each chunk, and the end of what has arrived. */
  readonly #starts: number[] = [0];

  readonly #letGo: (chunk: Uint8Array) => void;
  readonly #copies = new WeakSet<Uint8Array>();

  /** @param letGo told of each chunk that is needed no more: its memory may be used for something else */
  constructor(specs: readonly WeightSpec[], letGo: (chunk: Uint8Array) => void = () => undefined) {
    this.weights = locateWeights(specs);
    this.#letGo = letGo;
  }

  /** All shards at once, taken out of their array. Errors: `model/damaged`. */
  static of(specs: readonly WeightSpec[], chunks: Uint8Array[]): Shards {
    const shards = new Shards(specs);
    for (const chunk of chunks.splice(0)) shards.add(chunk);
    shards.end();
    return shards;
  }

  /** Bytes that have arrived. */
  get received(): number {
    return this.#starts.at(-1) ?? 0;
  }

  /** The next shard. */
  add(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#starts.push(this.received + chunk.length);
  }

  /** Nothing more comes. Errors: `model/damaged`. */
  end(): void {
    assertComplete(this.weights, this.received);
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
    if (copied !== target.length) throw new Error(`internal: bytes from ${offset} on are not here, or were let go`);
  }

  /** The values of a small weight, as JavaScript numbers. */
  values(weight: StoredWeight): number[] {
    const bytes = new Uint8Array(weight.size);
    this.copy(weight.offset, bytes);
    return decodeValues(bytes, weight);
  }

  /**
   * Let go of what lies before `offset`: of the chunks that end there at the latest, and of one of which only a small end
   * is left, which is copied. A kernel larger than a shard would hold a third one for some bytes.
   */
  release(offset: number): void {
    this.#chunks.forEach((chunk, index) => {
      const end = this.#starts[index + 1] ?? 0;
      if (chunk === undefined) return;
      const left = end - offset;
      if (left > chunk.length / SMALL_SHARE) return;
      this.#chunks[index] = undefined;
      if (left > 0) {
        // Not `slice`: that of a Node Buffer is a view.
        const copy = new Uint8Array(chunk.subarray(-left));
        this.#copies.add(copy);
        this.#chunks[index] = copy;
        this.#starts[index] = offset;
      }
      if (!this.#copies.has(chunk)) this.#letGo(chunk);
    });
  }
}

/** Of a chunk, so much or less is copied to let go of it. */
const SMALL_SHARE = 4;

/** Held against all that the shards have. Errors: `model/damaged`. */
export function assertComplete(weights: ReadonlyMap<string, StoredWeight>, received: number): void {
  const last = [...weights.values()].at(-1);
  const described = last === undefined ? 0 : last.offset + last.size;
  if (described === received) return;
  throw new ProductError(
    'model/damaged',
    `the weights manifest describes ${described} bytes, the shards have ${received}; copy the model folder again`,
  );
}

/** Copies of some weights, taken while the shards pass by; the shards can go. */
export class WeightCopies {
  readonly #weights: readonly { weight: StoredWeight; bytes: Uint8Array<ArrayBuffer> }[];
  readonly #byName: ReadonlyMap<string, { weight: StoredWeight; bytes: Uint8Array<ArrayBuffer> }>;
  #received = 0;

  constructor(wanted: Iterable<StoredWeight>) {
    this.#weights = [...wanted].map((weight) => ({ weight, bytes: new Uint8Array(weight.size) }));
    this.#byName = new Map(this.#weights.map((copy) => [copy.weight.name, copy]));
  }

  /** Shards in their order, each once. */
  add(chunk: Uint8Array): void {
    const end = this.#received + chunk.length;
    for (const { weight, bytes } of this.#weights) {
      const from = Math.max(weight.offset, this.#received);
      const to = Math.min(weight.offset + weight.size, end);
      if (from < to) bytes.set(chunk.subarray(from - this.#received, to - this.#received), from - weight.offset);
    }
    this.#received = end;
  }

  /** Undefined until all of it has arrived. */
  values(name: string): number[] | undefined {
    const copy = this.#byName.get(name);
    if (copy === undefined || copy.weight.offset + copy.weight.size > this.#received) return undefined;
    return decodeValues(copy.bytes, copy.weight);
  }
}

function decodeValues(bytes: Uint8Array<ArrayBuffer>, weight: StoredWeight): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: weight.size / weight.bytesPerValue }, (_, index) => {
    if (weight.isInteger) return view.getInt32(index * 4, true);
    if (weight.storage === STORAGE_TYPES.float32) return view.getFloat32(index * 4, true);
    if (weight.storage === STORAGE_TYPES.float16) return decodeFloat16(view.getUint16(index * 2, true));
    return (bytes[index] ?? 0) * weight.scale + weight.minimum;
  });
}

export function countValues(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

/** Subnormals included; infinities and NaN do not occur in weights. */
function decodeFloat16(bits: number): number {
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  const magnitude = exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
  return bits & 0x8000 ? -magnitude : magnitude;
}
