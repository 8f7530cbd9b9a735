/**
 * GPU memory that is used again: buffers by size class, so that a step of training allocates nothing that the step
 * before it did not.
 *
 * A buffer may be handed out again while commands that read it still wait: the GPU runs commands in the order in which
 * they were given.
 */
import { ProductError } from '../../../shared/errors.ts';

export interface PooledBuffer {
  readonly buffer: GPUBuffer;
  readonly sizeBytes: number;
}

const SMALLEST_BYTES = 256;
const STEPS_PER_DOUBLING = 4;

export class BufferPool {
  readonly #device: GPUDevice;
  readonly #usage: GPUBufferUsageFlags;
  readonly #largestBytes: number;
  readonly #free = new Map<number, PooledBuffer[]>();
  #count = 0;
  #totalBytes = 0;

  constructor(device: GPUDevice, usage: GPUBufferUsageFlags) {
    this.#device = device;
    this.#usage = usage;
    this.#largestBytes = Math.min(device.limits.maxBufferSize, device.limits.maxStorageBufferBindingSize);
  }

  /** Buffers ever made, in use or free: they are kept until the device goes. */
  get allocated(): { buffers: number; bytes: number } {
    return { buffers: this.#count, bytes: this.#totalBytes };
  }

  /** At least `sizeBytes`, with any content. Errors: `engine/out-of-memory` for more than one buffer can have. */
  take(sizeBytes: number): PooledBuffer {
    const classBytes = roundToSizeClass(sizeBytes);
    const free = this.#free.get(classBytes)?.pop();
    if (free !== undefined) return free;
    if (sizeBytes > this.#largestBytes) {
      throw new ProductError(
        'engine/out-of-memory',
        `a tensor needs ${sizeBytes} bytes, this GPU allows ${this.#largestBytes} in one buffer; choose a smaller --batch-size`,
      );
    }
    const size = Math.min(classBytes, this.#largestBytes - (this.#largestBytes % 16));
    this.#count++;
    this.#totalBytes += size;
    return { buffer: this.#device.createBuffer({ size, usage: this.#usage }), sizeBytes: size };
  }

  give(pooled: PooledBuffer): void {
    const classBytes = roundToSizeClass(pooled.sizeBytes);
    const free = this.#free.get(classBytes);
    if (free === undefined) this.#free.set(classBytes, [pooled]);
    else free.push(pooled);
  }
}

/** The next of 4 sizes between powers of two: at most a quarter is wasted. All are multiples of 64 bytes. */
export function roundToSizeClass(sizeBytes: number): number {
  if (sizeBytes <= SMALLEST_BYTES) return SMALLEST_BYTES;
  const step = 2 ** Math.floor(Math.log2(sizeBytes - 1)) / STEPS_PER_DOUBLING;
  return Math.ceil(sizeBytes / step) * step;
}
