/**
 * Ops of TensorFlow on tensor handles: one call per op, attributes by kind, constants that are uploaded once.
 *
 * What the ops are put together to is the engine's business (`tensorflow-engine.ts`, `convolutions.ts`).
 */
import type { EngineTensor } from '../engine.ts';
import { TENSORFLOW_DTYPES } from './addon.ts';
import type { OpAttribute, TensorFlowBinding, TensorInfo } from './addon.ts';

const { float32: FLOAT32, int32: INT32 } = TENSORFLOW_DTYPES;

/** A tensor held by TensorFlow. */
export class NativeTensor implements EngineTensor {
  readonly id: number;
  readonly shape: readonly number[];
  readonly dtype: number;

  constructor(id: number, shape: readonly number[], dtype: number = FLOAT32) {
    this.id = id;
    this.shape = shape;
    this.dtype = dtype;
  }
}

/** Memory: every returned tensor is new and the caller's, but for {@link NativeOps.integers} and where it says so. */
export class NativeOps {
  readonly #binding: TensorFlowBinding;
  /** Shapes, paddings and the like are inputs of ops; each distinct one is uploaded once. */
  readonly #constants = new Map<string, NativeTensor>();
  /** Tensors that were in this process before. */
  readonly #foreignTensors: number;

  constructor(binding: TensorFlowBinding) {
    this.#binding = binding;
    this.#foreignTensors = binding.getNumOfTensors();
  }

  upload(values: Float32Array<ArrayBuffer>, shape: readonly number[]): NativeTensor {
    return new NativeTensor(this.#binding.createTensor(shape, FLOAT32, values), shape);
  }

  /** The values of a float32 tensor. */
  read(tensor: NativeTensor): Float32Array<ArrayBuffer> {
    const values = this.#binding.tensorDataSync(tensor.id);
    if (!(values instanceof Float32Array)) throw new Error('internal: the tensor is not float32');
    return values as Float32Array<ArrayBuffer>;
  }

  dispose(tensor: EngineTensor): void {
    this.#binding.deleteTensor(native(tensor).id);
  }

  /** Without the constants. */
  countTensors(): number {
    return this.#binding.getNumOfTensors() - this.#foreignTensors - this.#constants.size;
  }

  runAll(
    name: string,
    attributes: readonly OpAttribute[],
    inputs: readonly EngineTensor[],
    outputCount: number,
  ): NativeTensor[] {
    const ids = inputs.map((input) => native(input).id);
    return this.#binding
      .executeOp(name, attributes, ids, outputCount)
      .map((info: TensorInfo) => new NativeTensor(info.id, info.shape, info.dtype));
  }

  run(name: string, attributes: readonly OpAttribute[], inputs: readonly EngineTensor[]): NativeTensor {
    const [output] = this.runAll(name, attributes, inputs, 1);
    if (output === undefined) throw new Error(`internal: ${name} returned nothing`);
    return output;
  }

  /** Hand `temporary` to `use` and give it back, unless it is `original`. */
  using<Result>(temporary: EngineTensor, original: EngineTensor, use: (tensor: NativeTensor) => Result): Result {
    try {
      return use(native(temporary));
    } finally {
      if (temporary !== original) this.dispose(temporary);
    }
  }

  /** Hand temporaries to `use` and give them back. */
  usingAll<Result>(temporaries: readonly NativeTensor[], use: () => Result): Result {
    try {
      return use();
    } finally {
      for (const temporary of temporaries) this.dispose(temporary);
    }
  }

  /** `x` itself where it already has the type. */
  cast(x: EngineTensor, dtype: number): NativeTensor {
    if (native(x).dtype === dtype) return native(x);
    return this.run('Cast', [this.type('DstT', dtype)], [x]);
  }

  /** The same values in another type, instead of `x`. */
  castAway(x: NativeTensor, dtype: number): NativeTensor {
    const converted = this.cast(x, dtype);
    if (converted !== x) this.dispose(x);
    return converted;
  }

  /** The same memory under another shape, as a handle of its own. */
  reshape(x: EngineTensor, shape: readonly number[]): NativeTensor {
    return this.run('Reshape', [this.type('Tshape', INT32)], [x, this.integers(shape)]);
  }

  slice(x: EngineTensor, begin: readonly number[], size: readonly number[]): NativeTensor {
    return this.run('Slice', [this.type('Index', INT32)], [x, this.integers(begin), this.integers(size)]);
  }

  /** Zeros around: `paddings` are before, after for each axis; `x` itself where all are 0. */
  pad(x: NativeTensor, paddings: readonly number[]): NativeTensor {
    if (paddings.every((padding) => padding === 0)) return x;
    const amounts = this.integers(paddings, [paddings.length / 2, 2]);
    return this.run('Pad', [this.type('Tpaddings', INT32)], [x, amounts]);
  }

  transpose(x: EngineTensor, axes: readonly number[]): NativeTensor {
    return this.run('Transpose', [this.type('Tperm', INT32)], [x, this.integers(axes)]);
  }

  concatenate(parts: readonly NativeTensor[], axis: number): NativeTensor {
    const [only] = parts;
    // The op refuses a single one.
    if (only !== undefined && parts.length === 1) return this.reshape(only, only.shape);
    const attributes = [
      this.type('T', parts[0]?.dtype ?? FLOAT32),
      this.type('Tidx', INT32),
      { name: 'N', type: this.#binding.TF_ATTR_INT, value: parts.length },
    ];
    return this.run('ConcatV2', attributes, [...parts, this.integers([axis], [])]);
  }

  /** a [m, k] x b [k, n], either one transposed first if asked for. */
  matMul(
    a: EngineTensor,
    b: EngineTensor,
    { isFirstTransposed = false, isSecondTransposed = false } = {},
  ): NativeTensor {
    const attributes = [this.flag('transpose_a', isFirstTransposed), this.flag('transpose_b', isSecondTransposed)];
    return this.run('MatMul', attributes, [a, b]);
  }

  scalar(value: number): NativeTensor {
    return this.upload(Float32Array.of(value), []);
  }

  /** A kept tensor without any value; never dispose it. */
  nothing(): NativeTensor {
    return this.#constant('nothing', () => this.#binding.createTensor([0], FLOAT32, new Float32Array(0)), [0]);
  }

  /** A kept int32 tensor; a vector unless another shape is given. Never dispose it. */
  integers(values: readonly number[], shape: readonly number[] = [values.length]): NativeTensor {
    const create = (): number => this.#binding.createTensor(shape, INT32, Int32Array.from(values));
    return this.#constant(`${shape.join('x')}:${values.join(',')}`, create, shape);
  }

  #constant(key: string, create: () => number, shape: readonly number[]): NativeTensor {
    const kept = this.#constants.get(key);
    if (kept !== undefined) return kept;
    const created = new NativeTensor(create(), shape);
    this.#constants.set(key, created);
    return created;
  }

  type(name: string, value: number): OpAttribute {
    return { name, type: this.#binding.TF_ATTR_TYPE, value };
  }

  flag(name: string, value: boolean): OpAttribute {
    return { name, type: this.#binding.TF_ATTR_BOOL, value };
  }

  number(name: string, value: number): OpAttribute {
    return { name, type: this.#binding.TF_ATTR_FLOAT, value };
  }

  integer(name: string, value: number): OpAttribute {
    return { name, type: this.#binding.TF_ATTR_INT, value };
  }

  integerList(name: string, value: readonly number[]): OpAttribute {
    return { name, type: this.#binding.TF_ATTR_INT, value };
  }

  text(name: string, value: string): OpAttribute {
    return { name, type: this.#binding.TF_ATTR_STRING, value };
  }
}

export function native(tensor: EngineTensor): NativeTensor {
  if (tensor instanceof NativeTensor) return tensor;
  throw new Error('internal: a tensor of another engine was handed to TensorFlow');
}
