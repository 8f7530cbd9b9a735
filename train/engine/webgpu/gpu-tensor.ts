/** Tensors of the webgpu engine. */
import type { EngineTensor } from '../engine.ts';
import type { PooledBuffer } from './buffer-pool.ts';

/** A tensor in GPU memory; without a buffer once it is disposed. */
export class GpuTensor implements EngineTensor {
  readonly shape: readonly number[];
  buffer: PooledBuffer | undefined;

  constructor(shape: readonly number[], buffer: PooledBuffer) {
    this.shape = shape;
    this.buffer = buffer;
  }
}

/** The memory of a tensor. Errors: plain ones, for a tensor of another engine or one that was disposed. */
export function own(tensor: EngineTensor): PooledBuffer {
  if (!(tensor instanceof GpuTensor)) throw new Error('internal: a tensor of another engine was handed to WebGPU');
  if (tensor.buffer === undefined) throw new Error('internal: a tensor was used after it was disposed');
  return tensor.buffer;
}
