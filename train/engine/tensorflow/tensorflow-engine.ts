/**
 * The `tensorflow` engine: raw TensorFlow ops through the addon of tfjs-node, on CPU or NVIDIA GPU.
 *
 * It calls ops by name on tensor ids, because tfjs has no fused training batch norm, no bfloat16 and no explicit padding
 * in its convolution gradients. Loading and building the addon is `addon.ts` and `setup.ts`.
 *
 * Precision   with `bfloat16`, feature maps and their gradients are bfloat16 from the first convolution to the global
 * pooling. Master weights, batch norm statistics, the dense layers, the loss and all gradients of parameters are float32.
 */
import type { WindowGeometry } from '../../../shared/resnet.ts';
import type {
  BatchNormParameters,
  BatchNormStatistics,
  BatchNormTrainingOutput,
  ChannelPadding,
  Engine,
  EngineTensor,
} from '../engine.ts';
import { FormulationChooser } from '../formulations.ts';
import type { FormulationPolicy } from '../formulations.ts';
import { TENSORFLOW_DTYPES } from './addon.ts';
import type { OpAttribute, TensorFlowAddon } from './addon.ts';
import { Convolutions } from './convolutions.ts';
import { native, NativeOps } from './native-ops.ts';
import { adviseOnBfloat16, readCpuInfo, readGpuName } from './processor.ts';
import type { NativeTensor } from './native-ops.ts';

const { float32: FLOAT32, int32: INT32, bfloat16: BFLOAT16 } = TENSORFLOW_DTYPES;

export type Precision = 'float32' | 'bfloat16';

export interface TensorFlowEngineOptions {
  /** `float32` without it. */
  precision?: Precision;
  /** How convolutions are computed; `default` without it. */
  formulations?: FormulationPolicy;
  /** The text of /proc/cpuinfo; that of this machine without it. */
  cpuInfo?: string;
}

export class TensorFlowEngine implements Engine {
  readonly name = 'tensorflow';
  readonly device: string;
  readonly advice: string | undefined;
  readonly formulations: FormulationChooser;
  readonly #ops: NativeOps;
  readonly #convolutions: Convolutions;
  /** Type of feature maps and their gradients. */
  readonly #mapType: number;

  constructor(addon: TensorFlowAddon, options: TensorFlowEngineOptions = {}) {
    const { precision = 'float32', formulations = 'default', cpuInfo = readCpuInfo() } = options;
    const { binding, cuda, tensorFlowVersion } = addon;
    this.#ops = new NativeOps(binding);
    this.#mapType = precision === 'bfloat16' ? BFLOAT16 : FLOAT32;
    // On a GPU an op returns before it is done, so there is nothing to measure.
    this.formulations = new FormulationChooser(cuda ? 'default' : formulations);
    this.#convolutions = new Convolutions(this.#ops, this.formulations, precision);
    this.advice = precision === 'bfloat16' && !cuda ? adviseOnBfloat16(cpuInfo) : undefined;
    this.device = `TensorFlow ${tensorFlowVersion} ${cuda ? `GPU (${readGpuName() ?? 'unnamed'})` : 'CPU'}, ${precision}`;
  }

  upload(values: Float32Array<ArrayBuffer>, shape: readonly number[]): EngineTensor {
    return this.#ops.upload(values, shape);
  }

  async download(tensor: EngineTensor): Promise<Float32Array<ArrayBuffer>> {
    return this.#ops.using(this.#ops.cast(tensor, FLOAT32), tensor, (exact) => this.#ops.read(exact));
  }

  dispose(tensor: EngineTensor): void {
    this.#ops.dispose(tensor);
  }

  countTensors(): number {
    return this.#ops.countTensors();
  }

  conv2d(x: EngineTensor, kernel: EngineTensor, geometry: WindowGeometry): EngineTensor {
    return this.#asMap(x, (map) =>
      this.#asMap(kernel, (weights) => this.#convolutions.forward(map, weights, geometry)),
    );
  }

  conv2dInputGradient(
    dy: EngineTensor,
    kernel: EngineTensor,
    inputShape: readonly number[],
    geometry: WindowGeometry,
  ): EngineTensor {
    return this.#asMap(kernel, (weights) =>
      this.#convolutions.inputGradient(native(dy), weights, inputShape, geometry),
    );
  }

  conv2dKernelGradient(
    x: EngineTensor,
    dy: EngineTensor,
    kernelShape: readonly number[],
    geometry: WindowGeometry,
  ): EngineTensor {
    const gradient = this.#asMap(x, (map) => this.#convolutions.kernelGradient(map, native(dy), kernelShape, geometry));
    return this.#ops.castAway(gradient, FLOAT32);
  }

  addBias(x: EngineTensor, bias: EngineTensor): EngineTensor {
    return this.#ops.using(this.#ops.cast(bias, native(x).dtype), bias, (values) =>
      this.#ops.run('BiasAdd', [], [x, values]),
    );
  }

  biasGradient(dy: EngineTensor): EngineTensor {
    return this.#ops.using(this.#ops.cast(dy, FLOAT32), dy, (exact) => this.#ops.run('BiasAddGrad', [], [exact]));
  }

  batchNormTraining(x: EngineTensor, { gamma, beta }: BatchNormParameters, epsilon: number): BatchNormTrainingOutput {
    // With an averaging factor of 1 the op returns the statistics of this batch and reads no old ones.
    const none = this.#ops.nothing();
    const attributes = [
      ...this.#batchNorm(epsilon, { isTraining: true }),
      this.#ops.number('exponential_avg_factor', 1),
    ];
    const outputs = this.#ops.runAll('FusedBatchNormV3', attributes, [x, gamma, beta, none, none], 6);
    const [y, mean, variance, ...saved] = outputs;
    if (y === undefined || mean === undefined || variance === undefined) throw new Error('internal: too few outputs');
    return { y, statistics: { mean, variance }, saved };
  }

  batchNormGradient(
    dy: EngineTensor,
    x: EngineTensor,
    gamma: EngineTensor,
    saved: readonly EngineTensor[],
    epsilon: number,
  ): { dx: EngineTensor; dgamma: EngineTensor; dbeta: EngineTensor } {
    const attributes = this.#batchNorm(epsilon, { isTraining: true });
    const [dx, dgamma, dbeta, ...rest] = this.#ops.runAll(
      'FusedBatchNormGradV3',
      attributes,
      [dy, x, gamma, ...saved],
      5,
    );
    if (dx === undefined || dgamma === undefined || dbeta === undefined) throw new Error('internal: too few outputs');
    for (const unused of rest) this.dispose(unused);
    return { dx, dgamma, dbeta };
  }

  batchNormInference(
    x: EngineTensor,
    { gamma, beta, mean, variance }: BatchNormParameters & BatchNormStatistics,
    epsilon: number,
  ): EngineTensor {
    const attributes = this.#batchNorm(epsilon, { isTraining: false });
    const [y, ...rest] = this.#ops.runAll('FusedBatchNormV3', attributes, [x, gamma, beta, mean, variance], 6);
    if (y === undefined) throw new Error('internal: too few outputs');
    for (const unused of rest) this.dispose(unused);
    return y;
  }

  relu(x: EngineTensor): EngineTensor {
    return this.#ops.run('Relu', [], [x]);
  }

  reluGradient(dy: EngineTensor, y: EngineTensor): EngineTensor {
    return this.#ops.run('ReluGrad', [], [dy, y]);
  }

  add(a: EngineTensor, b: EngineTensor): EngineTensor {
    return this.#ops.run('AddV2', [], [a, b]);
  }

  combine(factorX: number, x: EngineTensor, factorY: number, y: EngineTensor): EngineTensor {
    const scaledX = this.#scale(factorX, x);
    const scaledY = this.#scale(factorY, y);
    const sum = this.add(scaledX, scaledY);
    if (scaledX !== x) this.dispose(scaledX);
    if (scaledY !== y) this.dispose(scaledY);
    return sum;
  }

  multiply(a: EngineTensor, b: EngineTensor): EngineTensor {
    return this.#ops.run('Mul', [], [a, b]);
  }

  divideByRoot(x: EngineTensor, y: EngineTensor, epsilon: number): EngineTensor {
    const root = this.#ops.run('Sqrt', [], [y]);
    const scalar = this.#ops.scalar(epsilon);
    const divisor = this.add(root, scalar);
    const quotient = this.#ops.run('RealDiv', [], [x, divisor]);
    for (const temporary of [root, scalar, divisor]) this.dispose(temporary);
    return quotient;
  }

  maxPool(x: EngineTensor, geometry: WindowGeometry): EngineTensor {
    return this.#ops.run('MaxPool', this.#pooling(geometry), [x]);
  }

  maxPoolGradient(dy: EngineTensor, x: EngineTensor, y: EngineTensor, geometry: WindowGeometry): EngineTensor {
    return this.#ops.run('MaxPoolGrad', this.#pooling(geometry), [x, y, dy]);
  }

  padChannels(x: EngineTensor, { stride, before, after }: ChannelPadding): EngineTensor {
    const begin = this.#ops.integers([0, 0, 0, 0]);
    const strides = this.#ops.integers([1, stride, stride, 1]);
    const strided = this.#ops.run('StridedSlice', this.#slicing(), [x, begin, this.#ops.integers(x.shape), strides]);
    const padded = this.#ops.pad(strided, [0, 0, 0, 0, 0, 0, before, after]);
    if (padded !== strided) this.dispose(strided);
    return padded;
  }

  padChannelsGradient(
    dy: EngineTensor,
    inputShape: readonly number[],
    { stride, before }: ChannelPadding,
  ): EngineTensor {
    const [batch = 0, height = 0, width = 0] = dy.shape;
    const kept = this.#ops.slice(dy, [0, 0, 0, before], [batch, height, width, inputShape.at(-1) ?? 0]);
    const shape = this.#ops.integers(inputShape);
    const begin = this.#ops.integers([0, 0, 0, 0]);
    const strides = this.#ops.integers([1, stride, stride, 1]);
    const spread = this.#ops.run('StridedSliceGrad', this.#slicing(), [shape, begin, shape, strides, kept]);
    this.dispose(kept);
    return spread;
  }

  globalAveragePool(x: EngineTensor): EngineTensor {
    const attributes = [this.#ops.type('Tidx', INT32), this.#ops.flag('keep_dims', false)];
    return this.#ops.using(this.#ops.cast(x, FLOAT32), x, (map) =>
      this.#ops.run('Mean', attributes, [map, this.#ops.integers([1, 2])]),
    );
  }

  globalAveragePoolGradient(dy: EngineTensor, inputShape: readonly number[]): EngineTensor {
    const [batch = 0, height = 0, width = 0, channels = 0] = inputShape;
    const share = this.#ops.using(this.#scale(1 / (height * width), dy), dy, (scaled) =>
      this.#ops.reshape(scaled, [batch, 1, 1, channels]),
    );
    const spread = this.#ops.run(
      'BroadcastTo',
      [this.#ops.type('Tidx', INT32)],
      [share, this.#ops.integers(inputShape)],
    );
    this.dispose(share);
    return this.#ops.castAway(spread, this.#mapType);
  }

  matMul(
    a: EngineTensor,
    b: EngineTensor,
    transpose: { isFirstTransposed?: boolean; isSecondTransposed?: boolean } = {},
  ): EngineTensor {
    return this.#ops.matMul(a, b, transpose);
  }

  softmax(logits: EngineTensor): EngineTensor {
    return this.#ops.run('Softmax', [], [logits]);
  }

  softmaxCrossEntropy(logits: EngineTensor, targets: EngineTensor): { losses: EngineTensor; dLogits: EngineTensor } {
    const [losses, ofSum] = this.#ops.runAll('SoftmaxCrossEntropyWithLogits', [], [logits, targets], 2);
    if (losses === undefined || ofSum === undefined) throw new Error('internal: too few outputs');
    const dLogits = this.#scale(1 / (logits.shape[0] ?? 1), ofSum);
    if (dLogits !== ofSum) this.dispose(ofSum);
    return { losses, dLogits };
  }

  /** Hand `x` over in the type of feature maps. */
  #asMap<Result>(x: EngineTensor, use: (map: NativeTensor) => Result): Result {
    return this.#ops.using(this.#ops.cast(x, this.#mapType), x, use);
  }

  /** `x` itself for a factor of 1. */
  #scale(factor: number, x: EngineTensor): EngineTensor {
    if (factor === 1) return x;
    const scalar = this.#ops.scalar(factor);
    const scaled = this.#ops.run('Mul', [], [x, scalar]);
    this.dispose(scalar);
    return scaled;
  }

  #batchNorm(epsilon: number, { isTraining }: { isTraining: boolean }): OpAttribute[] {
    return [this.#ops.number('epsilon', epsilon), this.#ops.flag('is_training', isTraining)];
  }

  #pooling({ size, stride, padding }: WindowGeometry): OpAttribute[] {
    const attributes = [
      this.#ops.integerList('ksize', [1, size, size, 1]),
      this.#ops.integerList('strides', [1, stride, stride, 1]),
    ];
    if (padding === 0) return [...attributes, this.#ops.text('padding', 'VALID')];
    const explicit = [0, 0, padding, padding, padding, padding, 0, 0];
    return [...attributes, this.#ops.text('padding', 'EXPLICIT'), this.#ops.integerList('explicit_paddings', explicit)];
  }

  #slicing(): OpAttribute[] {
    const masks = ['begin_mask', 'end_mask', 'ellipsis_mask', 'new_axis_mask', 'shrink_axis_mask'];
    return [this.#ops.type('Index', INT32), ...masks.map((name) => this.#ops.integer(name, 0))];
  }
}
