/**
 * The seam between the network and what computes it: about a dozen operations on tensors that live in the engine.
 *
 * `network.ts` walks the layer table forward and backward over these; loop, optimizers, schedule and checkpoint know no
 * engine. Layout is NHWC everywhere; convolution kernels are [height, width, in, out], dense kernels [in, out].
 *
 * Memory   every returned tensor is new and owned by the caller, who gives it back with `dispose`; inputs are only read.
 * Errors   a tensor that was disposed, or shapes that do not fit, are bugs of the caller: plain errors.
 */
import type { WindowGeometry } from '../../shared/resnet.ts';
import type { FormulationChooser } from './formulations.ts';

export type EngineName = 'tensorflow' | 'webgpu' | 'tfjs';

/** A float32 tensor in the memory of one engine. Only that engine may be handed it. */
export interface EngineTensor {
  readonly shape: readonly number[];
}

export interface BatchNormParameters {
  /** [channels] */
  gamma: EngineTensor;
  /** [channels] */
  beta: EngineTensor;
}

export interface BatchNormStatistics {
  /** [channels] */
  mean: EngineTensor;
  /** [channels]; a variance, not a standard deviation */
  variance: EngineTensor;
}

export interface BatchNormTrainingOutput {
  /** [batch, height, width, channels] */
  y: EngineTensor;
  /** Of this batch; the variance is the unbiased estimate (divided by n - 1), as PyTorch stores it. */
  statistics: BatchNormStatistics;
  /** What the gradient needs again; opaque, owned by the caller. */
  saved: readonly EngineTensor[];
}

export interface ChannelPadding {
  stride: number;
  before: number;
  after: number;
}

export interface Engine {
  readonly name: EngineName;
  /** What computes, for logs: library, version and device. */
  readonly device: string;
  /** One line for the user of this engine on this machine, if there is something to know. */
  readonly advice?: string | undefined;
  /** Of an engine that knows several ways to compute one thing. */
  readonly formulations?: FormulationChooser;

  /** Copy values into the engine. The array must not be written to afterwards: an engine may keep it. */
  upload(values: Float32Array<ArrayBuffer>, shape: readonly number[]): EngineTensor;
  /** A copy of the values, row-major. */
  download(tensor: EngineTensor): Promise<Float32Array<ArrayBuffer>>;
  dispose(tensor: EngineTensor): void;
  /** Tensors that were made and not yet disposed. */
  countTensors(): number;

  /** x [batch, h, w, in], kernel [size, size, in, out] -> [batch, h', w', out]; zeros around, as PyTorch's `padding`. */
  conv2d(x: EngineTensor, kernel: EngineTensor, geometry: WindowGeometry): EngineTensor;
  conv2dInputGradient(
    dy: EngineTensor,
    kernel: EngineTensor,
    inputShape: readonly number[],
    geometry: WindowGeometry,
  ): EngineTensor;
  conv2dKernelGradient(
    x: EngineTensor,
    dy: EngineTensor,
    kernelShape: readonly number[],
    geometry: WindowGeometry,
  ): EngineTensor;
  /** x [..., channels] + bias [channels] */
  addBias(x: EngineTensor, bias: EngineTensor): EngineTensor;
  /** dy [..., channels] -> [channels], summed over all other axes. */
  biasGradient(dy: EngineTensor): EngineTensor;

  /** Normalise with the statistics of this batch (biased variance), then scale and shift. */
  batchNormTraining(x: EngineTensor, parameters: BatchNormParameters, epsilon: number): BatchNormTrainingOutput;
  batchNormGradient(
    dy: EngineTensor,
    x: EngineTensor,
    gamma: EngineTensor,
    saved: readonly EngineTensor[],
    epsilon: number,
  ): { dx: EngineTensor; dgamma: EngineTensor; dbeta: EngineTensor };
  /** Normalise with given statistics. */
  batchNormInference(
    x: EngineTensor,
    parameters: BatchNormParameters & BatchNormStatistics,
    epsilon: number,
  ): EngineTensor;

  relu(x: EngineTensor): EngineTensor;
  /** `y` is the output of {@link relu}. */
  reluGradient(dy: EngineTensor, y: EngineTensor): EngineTensor;
  add(a: EngineTensor, b: EngineTensor): EngineTensor;
  /** factorX * x + factorY * y, same shapes. */
  combine(factorX: number, x: EngineTensor, factorY: number, y: EngineTensor): EngineTensor;
  /** a * b, value by value, same shapes. */
  multiply(a: EngineTensor, b: EngineTensor): EngineTensor;
  /** x / (sqrt(y) + epsilon), value by value, same shapes, float32; `y` has no negative values. */
  divideByRoot(x: EngineTensor, y: EngineTensor, epsilon: number): EngineTensor;

  /** x [batch, h, w, channels]; values outside of the map never win. */
  maxPool(x: EngineTensor, geometry: WindowGeometry): EngineTensor;
  maxPoolGradient(dy: EngineTensor, x: EngineTensor, y: EngineTensor, geometry: WindowGeometry): EngineTensor;
  /** Shortcut option A: every `stride`-th pixel, zero channels before and after. */
  padChannels(x: EngineTensor, padding: ChannelPadding): EngineTensor;
  padChannelsGradient(dy: EngineTensor, inputShape: readonly number[], padding: ChannelPadding): EngineTensor;
  /** [batch, h, w, channels] -> [batch, channels] */
  globalAveragePool(x: EngineTensor): EngineTensor;
  globalAveragePoolGradient(dy: EngineTensor, inputShape: readonly number[]): EngineTensor;
  /** a [m, k] x b [k, n], either one transposed first if asked for. */
  matMul(
    a: EngineTensor,
    b: EngineTensor,
    transpose?: { isFirstTransposed?: boolean; isSecondTransposed?: boolean },
  ): EngineTensor;
  /** Over the last axis. */
  softmax(logits: EngineTensor): EngineTensor;
  /**
   * logits, targets [batch, classes] -> the loss of each image [batch] in nats, and the gradient of their mean by the
   * logits [batch, classes].
   */
  softmaxCrossEntropy(logits: EngineTensor, targets: EngineTensor): { losses: EngineTensor; dLogits: EngineTensor };
}
