/**
 * The kernels that tfjs' own functions (`tf.conv2d`, `tf.relu`, ...) find on this backend: one op at a time, its inputs
 * copied into the engine's memory and its output copied back. Loaded models do not pass here. They exist so that code
 * around a model can compute, and so that each kernel can be held to what tfjs expects of it.
 *
 * What an op's kernel does not serve (broadcasting, dilation, other axes) is refused with the op's name.
 */
import {
  backend_util,
  registerKernel,
  util,
  type KernelBackend,
  type KernelFunc,
  type NamedAttrMap,
  type NamedTensorInfoMap,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import { ProductError } from '../errors.ts';
import type { EdgeBackend } from './backend.ts';
import type { Engine } from './engine.ts';
import type { Network, Operation } from './network.ts';
import { Shards } from './shards.ts';

interface Call {
  op: string;
  backend: EdgeBackend;
  inputs: NamedTensorInfoMap;
  attributes: NamedAttrMap;
}

type Kernel = (call: Call) => TensorInfo | TensorInfo[];

const KERNELS: Readonly<Record<string, Kernel>> = {
  Identity: (call) => share(call, inputOf(call, 'x').shape),
  Reshape: (call) => {
    const { shape } = inputOf(call, 'x');
    return share(call, util.inferFromImplicitShape(call.attributes['shape'] as number[], util.sizeFromShape(shape)));
  },
  Relu: (call) => mapValues(call, (engine, address, bytes) => engine.kernels.applyRelu(address, address, bytes)),
  Sigmoid: (call) => mapValues(call, (engine, address, bytes) => engine.kernels.applySigmoid(address, address, bytes)),
  Add: (call) => combineValues(call, 0),
  Sub: (call) => combineValues(call, 1),
  Multiply: (call) => combineValues(call, 2),
  Softmax: computeSoftmax,
  Conv2D: computeConvolution,
  FusedConv2D: computeConvolution,
  FusedBatchNorm: computeBatchNorm,
  MaxPool: computeMaxPool,
};

export function registerEdgeKernels(backendName: string): void {
  for (const [kernelName, kernel] of Object.entries(KERNELS)) {
    const kernelFunc: KernelFunc = ({ inputs, attrs, backend }) =>
      kernel({ op: kernelName, backend: backend as KernelBackend as EdgeBackend, inputs, attributes: attrs ?? {} });
    registerKernel({ kernelName, backendName, kernelFunc });
  }
}

function inputOf({ inputs, op }: Call, name: string): TensorInfo {
  const input = inputs[name];
  if (input === undefined) throw new Error(`internal: "${op}" without its input "${name}"`);
  return input;
}

/** Values of a float32 input. */
function readFloats(call: Call, name: string): Float32Array {
  const { dataId, dtype } = inputOf(call, name);
  if (dtype !== 'float32') throw refuse(call, `its input "${name}" is ${dtype}, float32 is expected`);
  return call.backend.readSync(dataId) as Float32Array;
}

function make({ backend }: Call, values: Float32Array, shape: number[]): TensorInfo {
  return { dataId: backend.write(values, shape, 'float32'), shape, dtype: 'float32' };
}

/** The same values under another shape. */
function share(call: Call, shape: number[]): TensorInfo {
  const { dataId, dtype } = inputOf(call, 'x');
  call.backend.incRef(dataId);
  return { dataId, shape, dtype };
}

function refuse({ op }: Call, problem: string): ProductError {
  return new ProductError(
    'engine/unsupported',
    `the op "${op}" on the edge backend: ${problem}; use another backend of tfjs for it`,
  );
}

/** Copies values into the engine's memory, padded to whole vectors, and gives the address to `compute`. */
function withValues<Result>(
  engine: Engine,
  values: Float32Array,
  compute: (address: number, bytes: number) => Result,
): Result {
  const bytes = Math.ceil(values.length / 4) * 16;
  const address = engine.heap.allocate(bytes);
  try {
    engine.heap
      .floats(address, bytes / 4)
      .fill(0)
      .set(values);
    return compute(address, bytes);
  } finally {
    engine.heap.free(address);
  }
}

function mapValues(call: Call, compute: (engine: Engine, address: number, bytes: number) => void): TensorInfo {
  const { engine } = call.backend;
  const values = readFloats(call, 'x');
  return withValues(engine, values, (address, bytes) => {
    compute(engine, address, bytes);
    return make(call, engine.heap.floats(address, values.length).slice(), inputOf(call, 'x').shape);
  });
}

function combineValues(call: Call, operation: number): TensorInfo {
  const { engine } = call.backend;
  const [a, b] = [readFloats(call, 'a'), readFloats(call, 'b')];
  const [shape, other] = [inputOf(call, 'a').shape, inputOf(call, 'b').shape];
  if (shape.join() !== other.join()) throw refuse(call, `shapes [${shape.join()}] and [${other.join()}] differ`);
  return withValues(engine, a, (left, bytes) =>
    withValues(engine, b, (right) => {
      engine.kernels.combine(operation, left, right, left, bytes);
      return make(call, engine.heap.floats(left, a.length).slice(), shape);
    }),
  );
}

function computeSoftmax(call: Call): TensorInfo {
  const { shape } = inputOf(call, 'logits');
  const values = readFloats(call, 'logits');
  const { dim } = call.attributes as { dim?: number };
  if (dim !== undefined && dim !== -1 && dim !== shape.length - 1) throw refuse(call, `axis ${dim} is not the last`);
  const classes = shape.at(-1) ?? 1;
  const { engine } = call.backend;
  const output = new Float32Array(values.length);
  for (let row = 0; row < values.length; row += classes) {
    withValues(engine, values.subarray(row, row + classes), (address) => {
      engine.kernels.applySoftmax(address, address, classes);
      output.set(engine.heap.floats(address, classes), row);
    });
  }
  return make(call, output, shape);
}

/** A network of one operation, run on a tensor [batch, height, width, channels]. */
function runOperation(
  call: Call,
  values: Float32Array,
  shape: readonly number[],
  operations: readonly Operation[],
  output: { height: number; width: number; channels: number },
  weights: Shards = Shards.of([], []),
): TensorInfo {
  const [batch = 0, height = 0, width = 0, channels = 0] = shape;
  const nodes: Network['nodes'] = [
    { name: 'x', inputs: [], operation: { kind: 'input' }, shape: { height, width, channels }, isMap: true },
    ...operations.map((operation, index) => ({
      name: `${call.op}/${index}`,
      inputs: [index],
      operation,
      shape: output,
      isMap: true,
    })),
  ];
  const model = call.backend.engine.load({ nodes, indexOfNode: new Map() }, 'exact', weights);
  try {
    const result = model.run(values, batch, [operations.length]).get(operations.length);
    if (result === undefined) throw new Error('internal: the operation gave nothing');
    return make(call, result, [batch, output.height, output.width, output.channels]);
  } finally {
    model.free();
  }
}

function computeConvolution(call: Call): TensorInfo {
  const { strides, pad, dataFormat, dilations, dimRoundingMode, activation } = call.attributes as {
    strides: [number, number] | number;
    pad: 'same' | 'valid' | number | backend_util.ExplicitPadding;
    dataFormat: 'NHWC' | 'NCHW';
    dilations: [number, number] | number;
    dimRoundingMode?: 'floor' | 'round' | 'ceil';
    activation?: string;
  };
  const x = inputOf(call, 'x');
  const filter = inputOf(call, 'filter');
  const info = backend_util.computeConv2DInfo(
    x.shape as [number, number, number, number],
    filter.shape as [number, number, number, number],
    strides,
    dilations,
    pad,
    dimRoundingMode,
  );
  if (dataFormat !== 'NHWC') throw refuse(call, `its data format is ${dataFormat}`);
  if (info.dilationHeight !== 1 || info.dilationWidth !== 1) throw refuse(call, 'it is dilated');
  if (info.strideHeight !== info.strideWidth) throw refuse(call, 'its strides differ');
  if (activation !== undefined && activation !== 'linear' && activation !== 'relu') {
    throw refuse(call, `its activation is "${activation}"`);
  }
  const kernel = readFloats(call, 'filter');
  const { top, left, bottom, right } = info.padInfo;
  const operations: Operation[] = [
    {
      kind: 'convolution',
      kernel: 'filter',
      height: info.filterHeight,
      width: info.filterWidth,
      stride: info.strideHeight,
      padding: { top, left, bottom, right },
    },
  ];
  if (call.inputs['bias'] !== undefined) {
    const shift = Float64Array.from(readFloats(call, 'bias'));
    if (shift.length !== info.outChannels) throw refuse(call, `a bias of ${shift.length} values`);
    operations.push({ kind: 'channels', gain: new Float64Array(shift.length).fill(1), shift });
  }
  if (activation === 'relu') operations.push({ kind: 'relu' });
  const weights = Shards.of(
    [{ name: 'filter', shape: filter.shape, dtype: 'float32' }],
    [new Uint8Array(kernel.buffer, kernel.byteOffset, kernel.byteLength)],
  );
  const output = { height: info.outHeight, width: info.outWidth, channels: info.outChannels };
  return runOperation(call, readFloats(call, 'x'), x.shape, operations, output, weights);
}

function computeBatchNorm(call: Call): TensorInfo {
  const { varianceEpsilon = 0.001 } = call.attributes as { varianceEpsilon?: number };
  const { shape } = inputOf(call, 'x');
  const [, height = 0, width = 0, channels = 0] = shape;
  const vector = (name: string, missing: number): Float64Array => {
    if (call.inputs[name] === undefined) return new Float64Array(channels).fill(missing);
    const values = Float64Array.from(readFloats(call, name));
    if (values.length !== channels)
      throw refuse(call, `"${name}" has ${values.length} values for ${channels} channels`);
    return values;
  };
  const [scale, offset, mean, variance] = [
    vector('scale', 1),
    vector('offset', 0),
    vector('mean', 0),
    vector('variance', 1),
  ];
  const gain = scale.map((value, channel) => value / Math.sqrt((variance[channel] ?? 0) + varianceEpsilon));
  const shift = offset.map((value, channel) => value - (mean[channel] ?? 0) * (gain[channel] ?? 0));
  const operation: Operation = { kind: 'channels', gain, shift };
  return runOperation(call, readFloats(call, 'x'), shape, [operation], { height, width, channels });
}

function computeMaxPool(call: Call): TensorInfo {
  const { filterSize, strides, pad, dimRoundingMode } = call.attributes as {
    filterSize: [number, number] | number;
    strides: [number, number] | number;
    pad: 'same' | 'valid' | number | backend_util.ExplicitPadding;
    dimRoundingMode?: 'floor' | 'round' | 'ceil';
  };
  const { shape } = inputOf(call, 'x');
  const input = shape as [number, number, number, number];
  const info = backend_util.computePool2DInfo(input, filterSize, strides, 1, pad, dimRoundingMode);
  const { top, left, bottom, right } = info.padInfo;
  const operation: Operation = {
    kind: 'maxPool',
    height: info.filterHeight,
    width: info.filterWidth,
    strideY: info.strideHeight,
    strideX: info.strideWidth,
    padding: { top, left, bottom, right },
  };
  const output = { height: info.outHeight, width: info.outWidth, channels: info.outChannels };
  return runOperation(call, readFloats(call, 'x'), shape, [operation], output);
}
