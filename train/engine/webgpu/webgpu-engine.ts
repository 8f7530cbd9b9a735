/**
 * The `webgpu` engine: own WGSL kernels on any GPU that Dawn drives, without CUDA. float32.
 *
 * This file maps each operation of the seam to kernels (`kernels/`), which say what they compute; how they reach the
 * GPU is `command-queue.ts`.
 */
import { sizeOf } from '../../../shared/resnet.ts';
import type { WindowGeometry } from '../../../shared/resnet.ts';
import type {
  BatchNormParameters,
  BatchNormStatistics,
  BatchNormTrainingOutput,
  ChannelPadding,
  Engine,
  EngineTensor,
} from '../engine.ts';
import { CommandQueue } from './command-queue.ts';
import {
  describeConvolution,
  describePadding,
  describeRows,
  describeWindows,
  deriveWindowShape,
} from './describe-shapes.ts';
import { openDevice } from './device.ts';
import type { OpenedDevice } from './device.ts';
import { GpuTensor, own } from './gpu-tensor.ts';
import * as batchNorm from './kernels/batch-norm.ts';
import { CONVOLUTION, CONVOLUTION_INPUT_GRADIENT } from './kernels/convolution.ts';
import { ADD, ADD_BIAS, COMBINE, DIVIDE_BY_ROOT, MULTIPLY, RELU, RELU_GRADIENT } from './kernels/elementwise.ts';
import { MATRIX_PRODUCT, MATRIX_TILE, SOFTMAX, SOFTMAX_CROSS_ENTROPY } from './kernels/head.ts';
import { CONVOLUTION_KERNEL_GRADIENT, planKernelGradient } from './kernels/kernel-gradient.ts';
import { THREADS_PER_GROUP } from './kernels/kernel.ts';
import type { Kernel, LaneKernels } from './kernels/kernel.ts';
import * as pooling from './kernels/pooling.ts';
import { CHANNELS_PER_GROUP, planRowChunks, SUM_ROWS } from './kernels/row-sums.ts';
import { chooseTile, pickKernel, TILE_ROWS } from './kernels/tile.ts';

/** Workgroups of a kernel that is not spread over `fields.count` elements, one in a thread. */
interface Run<Fields extends string> {
  fields: Readonly<Record<Fields, number>>;
  reads: readonly EngineTensor[];
  shapes: readonly (readonly number[])[];
  groups?: number;
}

/**
 * Open the fastest GPU and the engine on it.
 *
 * Errors: `engine/unavailable` where Dawn is not set up, or finds no adapter
 */
export async function createWebgpuEngine(): Promise<WebgpuEngine> {
  return new WebgpuEngine(await openDevice());
}

export class WebgpuEngine implements Engine {
  readonly name = 'webgpu';
  readonly device: string;
  readonly #queue: CommandQueue;
  #tensors = 0;

  constructor(opened: OpenedDevice) {
    this.device = `${opened.description}, float32`;
    this.#queue = new CommandQueue(opened);
  }

  /** GPU memory that the engine holds, in use or free, and submissions so far. */
  get counts(): { buffers: number; bytes: number; submissions: number } {
    return this.#queue.counts;
  }

  upload(values: Float32Array<ArrayBuffer>, shape: readonly number[]): EngineTensor {
    const tensor = this.#allocate(shape);
    this.#queue.write(own(tensor), values);
    return tensor;
  }

  async download(tensor: EngineTensor): Promise<Float32Array<ArrayBuffer>> {
    return this.#queue.read(own(tensor), sizeOf(tensor.shape));
  }

  dispose(tensor: EngineTensor): void {
    const buffer = own(tensor);
    if (tensor instanceof GpuTensor) tensor.buffer = undefined;
    this.#queue.tensors.give(buffer);
    this.#tensors--;
  }

  countTensors(): number {
    return this.#tensors;
  }

  conv2d(x: EngineTensor, kernel: EngineTensor, geometry: WindowGeometry): EngineTensor {
    const outShape = deriveWindowShape(x.shape, kernel.shape[3] ?? 0, geometry);
    const fields = describeConvolution(x.shape, outShape, geometry);
    const rowTiles = Math.ceil((fields.batch * fields.outHeight * fields.outWidth) / TILE_ROWS);
    const columnTiles = Math.ceil(fields.outChannels / chooseTile(fields.outChannels).tileColumns);
    return this.#run(pickKernel(CONVOLUTION, { columns: fields.outChannels, ...fields }), {
      fields: { ...fields, rowTiles, columnTiles },
      reads: [x, kernel],
      shapes: [outShape],
      groups: rowTiles * columnTiles,
    });
  }

  conv2dInputGradient(
    dy: EngineTensor,
    kernel: EngineTensor,
    inputShape: readonly number[],
    geometry: WindowGeometry,
  ): EngineTensor {
    const fields = describeConvolution(inputShape, dy.shape, geometry);
    const { batch, height, width, channels, stride } = fields;
    // Of the first phase, which has the most pixels.
    const rowTiles = Math.ceil((batch * Math.ceil(height / stride) * Math.ceil(width / stride)) / TILE_ROWS);
    const columnTiles = Math.ceil(channels / chooseTile(channels).tileColumns);
    return this.#run(pickKernel(CONVOLUTION_INPUT_GRADIENT, { columns: channels, ...fields }), {
      fields: { ...fields, rowTiles, columnTiles },
      reads: [dy, kernel],
      shapes: [inputShape],
      groups: stride * stride * rowTiles * columnTiles,
    });
  }

  conv2dKernelGradient(
    x: EngineTensor,
    dy: EngineTensor,
    kernelShape: readonly number[],
    geometry: WindowGeometry,
  ): EngineTensor {
    const { batch, ...fields } = describeConvolution(x.shape, dy.shape, geometry);
    const { size, channels, outChannels, outHeight, outWidth } = fields;
    const pixels = batch * outHeight * outWidth;
    const plan = planKernelGradient(size * size * channels, outChannels, pixels);
    const sums = this.#run(pickKernel(CONVOLUTION_KERNEL_GRADIENT, { columns: outChannels, ...fields }), {
      fields: { ...fields, pixels, ...plan },
      reads: [x, dy],
      shapes: [plan.splits === 1 ? kernelShape : [plan.splits, sizeOf(kernelShape)]],
      groups: plan.splits * plan.rowTiles * plan.columnTiles,
    });
    return plan.splits === 1 ? sums : this.#sumAway(sums, plan.splits, kernelShape);
  }

  addBias(x: EngineTensor, bias: EngineTensor): EngineTensor {
    const channels = sizeOf(bias.shape);
    return this.#runLanes(ADD_BIAS, channels, {
      fields: { count: sizeOf(x.shape), channels },
      reads: [x, bias],
      shapes: [x.shape],
    });
  }

  biasGradient(dy: EngineTensor): EngineTensor {
    const channels = dy.shape.at(-1) ?? 0;
    return this.#sumRows(dy, sizeOf(dy.shape) / channels, [channels]);
  }

  batchNormTraining(x: EngineTensor, { gamma, beta }: BatchNormParameters, epsilon: number): BatchNormTrainingOutput {
    const { rows, channels } = describeRows(x);
    const { groups, ...chunks } = planRowChunks(rows, channels);
    const moments = this.#run(batchNorm.CHUNK_MOMENTS, {
      fields: { rows, channels, groups, ...chunks },
      reads: [x],
      shapes: [[chunks.chunks, 2, channels]],
      groups,
    });
    const [mean, variance, saved] = this.#runAll(batchNorm.COMBINE_MOMENTS, {
      fields: { rows, channels, epsilon, ...chunks },
      reads: [moments],
      shapes: [[channels], [channels], [2, channels]],
      groups: Math.ceil(channels / CHANNELS_PER_GROUP),
    });
    this.dispose(moments);
    if (mean === undefined || variance === undefined || saved === undefined) throw new Error('internal: no moments');
    const y = this.#runLanes(batchNorm.NORMALIZE, channels, {
      fields: { count: sizeOf(x.shape), channels },
      reads: [x, gamma, beta, saved],
      shapes: [x.shape],
    });
    return { y, statistics: { mean, variance }, saved: [saved] };
  }

  batchNormGradient(
    dy: EngineTensor,
    x: EngineTensor,
    gamma: EngineTensor,
    saved: readonly EngineTensor[],
  ): { dx: EngineTensor; dgamma: EngineTensor; dbeta: EngineTensor } {
    const { rows, channels } = describeRows(x);
    const { groups, ...chunks } = planRowChunks(rows, channels);
    const sums = this.#run(batchNorm.CHUNK_GRADIENT_SUMS, {
      fields: { rows, channels, groups, ...chunks },
      reads: [dy, x, ...saved],
      shapes: [[chunks.chunks, 2, channels]],
      groups,
    });
    const [dbeta, dgamma] = this.#runAll(batchNorm.COMBINE_GRADIENT_SUMS, {
      fields: { channels, chunks: chunks.chunks },
      reads: [sums],
      shapes: [[channels], [channels]],
      groups: Math.ceil(channels / CHANNELS_PER_GROUP),
    });
    this.dispose(sums);
    if (dbeta === undefined || dgamma === undefined) throw new Error('internal: no gradient sums');
    const dx = this.#runLanes(batchNorm.NORMALIZE_GRADIENT, channels, {
      fields: { count: sizeOf(x.shape), channels, rows },
      reads: [dy, x, gamma, ...saved, dbeta, dgamma],
      shapes: [x.shape],
    });
    return { dx, dgamma, dbeta };
  }

  batchNormInference(
    x: EngineTensor,
    { gamma, beta, mean, variance }: BatchNormParameters & BatchNormStatistics,
    epsilon: number,
  ): EngineTensor {
    const channels = sizeOf(gamma.shape);
    return this.#runLanes(batchNorm.NORMALIZE_BY, channels, {
      fields: { count: sizeOf(x.shape), channels, epsilon },
      reads: [x, gamma, beta, mean, variance],
      shapes: [x.shape],
    });
  }

  relu(x: EngineTensor): EngineTensor {
    return this.#runByValue(RELU, [x], {});
  }

  reluGradient(dy: EngineTensor, y: EngineTensor): EngineTensor {
    return this.#runByValue(RELU_GRADIENT, [dy, y], {});
  }

  add(a: EngineTensor, b: EngineTensor): EngineTensor {
    return this.#runByValue(ADD, [a, b], {});
  }

  combine(factorX: number, x: EngineTensor, factorY: number, y: EngineTensor): EngineTensor {
    return this.#runByValue(COMBINE, [x, y], { factorX, factorY });
  }

  multiply(a: EngineTensor, b: EngineTensor): EngineTensor {
    return this.#runByValue(MULTIPLY, [a, b], {});
  }

  divideByRoot(x: EngineTensor, y: EngineTensor, epsilon: number): EngineTensor {
    return this.#runByValue(DIVIDE_BY_ROOT, [x, y], { epsilon });
  }

  maxPool(x: EngineTensor, geometry: WindowGeometry): EngineTensor {
    const { channels } = describeRows(x);
    const outShape = deriveWindowShape(x.shape, channels, geometry);
    const fields = { ...describeWindows(x.shape, outShape, geometry), channels, count: sizeOf(outShape) };
    return this.#runLanes(pooling.MAX_POOL, channels, { fields, reads: [x], shapes: [outShape] });
  }

  maxPoolGradient(dy: EngineTensor, x: EngineTensor, y: EngineTensor, geometry: WindowGeometry): EngineTensor {
    const { channels } = describeRows(x);
    const fields = { ...describeWindows(x.shape, y.shape, geometry), channels, count: sizeOf(x.shape) };
    return this.#run(pooling.MAX_POOL_GRADIENT, { fields, reads: [dy, x, y], shapes: [x.shape] });
  }

  padChannels(x: EngineTensor, padding: ChannelPadding): EngineTensor {
    const [, , , channels = 0] = x.shape;
    const outShape = deriveWindowShape(x.shape, channels + padding.before + padding.after, {
      size: 1,
      stride: padding.stride,
      padding: 0,
    });
    const fields = { ...describePadding(x.shape, outShape, padding), count: sizeOf(outShape) };
    return this.#run(pooling.PAD_CHANNELS, { fields, reads: [x], shapes: [outShape] });
  }

  padChannelsGradient(dy: EngineTensor, inputShape: readonly number[], padding: ChannelPadding): EngineTensor {
    const fields = { ...describePadding(inputShape, dy.shape, padding), count: sizeOf(inputShape) };
    return this.#run(pooling.PAD_CHANNELS_GRADIENT, { fields, reads: [dy], shapes: [inputShape] });
  }

  globalAveragePool(x: EngineTensor): EngineTensor {
    const [batch = 0, height = 0, width = 0, channels = 0] = x.shape;
    return this.#runLanes(pooling.GLOBAL_AVERAGE_POOL, channels, {
      fields: { count: batch * channels, channels, pixels: height * width },
      reads: [x],
      shapes: [[batch, channels]],
    });
  }

  globalAveragePoolGradient(dy: EngineTensor, inputShape: readonly number[]): EngineTensor {
    const [, height = 0, width = 0, channels = 0] = inputShape;
    return this.#runLanes(pooling.GLOBAL_AVERAGE_POOL_GRADIENT, channels, {
      fields: { count: sizeOf(inputShape), channels, pixels: height * width },
      reads: [dy],
      shapes: [inputShape],
    });
  }

  matMul(
    a: EngineTensor,
    b: EngineTensor,
    transpose: { isFirstTransposed?: boolean; isSecondTransposed?: boolean } = {},
  ): EngineTensor {
    const [aLines = 0, aPlaces = 0] = a.shape;
    const [bLines = 0, bPlaces = 0] = b.shape;
    const [rows, terms] = transpose.isFirstTransposed === true ? [aPlaces, aLines] : [aLines, aPlaces];
    const columns = transpose.isSecondTransposed === true ? bLines : bPlaces;
    const [aRowStep, aTermStep] = transpose.isFirstTransposed === true ? [1, aPlaces] : [aPlaces, 1];
    const [bTermStep, bColumnStep] = transpose.isSecondTransposed === true ? [1, bPlaces] : [bPlaces, 1];
    const rowTiles = Math.ceil(rows / MATRIX_TILE);
    const columnTiles = Math.ceil(columns / MATRIX_TILE);
    return this.#run(MATRIX_PRODUCT, {
      fields: { rows, terms, columns, aRowStep, aTermStep, bTermStep, bColumnStep, rowTiles, columnTiles },
      reads: [a, b],
      shapes: [[rows, columns]],
      groups: rowTiles * columnTiles,
    });
  }

  softmax(logits: EngineTensor): EngineTensor {
    const { rows: count, channels: classes } = describeRows(logits);
    return this.#run(SOFTMAX, { fields: { count, classes }, reads: [logits], shapes: [logits.shape] });
  }

  softmaxCrossEntropy(logits: EngineTensor, targets: EngineTensor): { losses: EngineTensor; dLogits: EngineTensor } {
    const { rows: count, channels: classes } = describeRows(logits);
    const [losses, dLogits] = this.#runAll(SOFTMAX_CROSS_ENTROPY, {
      fields: { count, classes },
      reads: [logits, targets],
      shapes: [[count], logits.shape],
    });
    if (losses === undefined || dLogits === undefined) throw new Error('internal: no losses');
    return { losses, dLogits };
  }

  /** x as [rows, channels] -> `shape`, the sums over the rows. */
  #sumRows(x: EngineTensor, rows: number, shape: readonly number[]): EngineTensor {
    const channels = sizeOf(shape);
    const { chunks, groups, ...plan } = planRowChunks(rows, channels);
    const sums = this.#run(SUM_ROWS, {
      fields: { rows, channels, groups, ...plan },
      reads: [x],
      shapes: [chunks === 1 ? shape : [chunks, channels]],
      groups,
    });
    return chunks === 1 ? sums : this.#sumAway(sums, chunks, shape);
  }

  #sumAway(x: EngineTensor, rows: number, shape: readonly number[]): EngineTensor {
    const sums = this.#sumRows(x, rows, shape);
    this.dispose(x);
    return sums;
  }

  /** A kernel over quads of values, whose `count` follows from the first tensor. */
  #runByValue<Fields extends string>(
    kernel: Kernel<Readonly<Record<Fields | 'count', 'u32' | 'f32'>>>,
    reads: readonly [EngineTensor, ...EngineTensor[]],
    fields: Readonly<Record<Exclude<Fields, 'count'>, number>>,
  ): EngineTensor {
    const { shape } = reads[0];
    const count = Math.ceil(sizeOf(shape) / 4);
    const all = { ...fields, count } as Readonly<Record<Fields | 'count', number>>;
    return this.#run(kernel, { fields: all, reads, shapes: [shape] });
  }

  /** A kernel over channels: `count` and `channels` are given in values, and handed over in lanes. */
  #runLanes<Fields extends string>(
    kernels: LaneKernels<Readonly<Record<Fields | 'count' | 'channels', 'u32' | 'f32'>>>,
    channels: number,
    run: NoInfer<Run<Fields | 'count' | 'channels'>>,
  ): EngineTensor {
    const lanes = channels % 4 === 0 ? 4 : 1;
    const fields = { ...run.fields, count: run.fields.count / lanes, channels: channels / lanes };
    return this.#run(lanes === 4 ? kernels.quads : kernels.singles, { ...run, fields });
  }

  #run<Fields extends string>(
    kernel: Kernel<Readonly<Record<Fields, 'u32' | 'f32'>>>,
    run: NoInfer<Run<Fields>>,
  ): EngineTensor {
    const [output] = this.#runAll(kernel, run);
    if (output === undefined) throw new Error('internal: a kernel without output');
    return output;
  }

  #runAll<Fields extends string>(
    kernel: Kernel<Readonly<Record<Fields, 'u32' | 'f32'>>>,
    { fields, reads, shapes, groups }: NoInfer<Run<Fields>>,
  ): EngineTensor[] {
    const inputs = reads.map(own);
    const outputs = shapes.map((shape) => this.#allocate(shape));
    const count = (fields as Readonly<Record<string, number>>)['count'] ?? 0;
    this.#queue.dispatch(kernel, {
      fields,
      reads: inputs,
      writes: outputs.map(own),
      groups: groups ?? Math.ceil(count / THREADS_PER_GROUP),
    });
    return outputs;
  }

  #allocate(shape: readonly number[]): GpuTensor {
    const buffer = this.#queue.tensors.take(sizeOf(shape) * Float32Array.BYTES_PER_ELEMENT);
    this.#tensors++;
    return new GpuTensor([...shape], buffer);
  }
}
