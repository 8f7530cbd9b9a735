/**
 * Turns kernels into commands for the GPU: pipelines are compiled once, uniform values lie in one buffer, and commands
 * are gathered, so that a step of training is a few submissions.
 */
import { ProductError } from '../../../shared/errors.ts';
import { BufferPool } from './buffer-pool.ts';
import type { PooledBuffer } from './buffer-pool.ts';
import type { DeviceFaults, OpenedDevice } from './device.ts';
import type { Kernel } from './kernels/kernel.ts';

/** Numbers of the WebGPU specification; Node has no global with them. */
const USAGE = { mapRead: 0x1, copySource: 0x4, copyTarget: 0x8, uniform: 0x40, storage: 0x80 } as const;
const MAP_READ = 0x1;
const COMPUTE_STAGE = 0x4;

/** Dispatches in one submission at most: the GPU starts on a large step before all of it is encoded. */
const DISPATCHES_PER_SUBMISSION = 512;

export interface Dispatch<Fields extends string> {
  readonly fields: Readonly<Record<Fields, number>>;
  /** In the order of the kernel's definition. */
  readonly reads: readonly PooledBuffer[];
  /** None of them may be among `reads`. */
  readonly writes: readonly PooledBuffer[];
  /** Workgroups; 0 does nothing. */
  readonly groups: number;
}

export class CommandQueue {
  /** Memory of tensors. */
  readonly tensors: BufferPool;
  readonly #device: GPUDevice;
  readonly #faults: DeviceFaults;
  /** Where results are read from. */
  readonly #staging: BufferPool;
  readonly #pipelines = new Map<Kernel, GPUComputePipeline>();
  readonly #uniforms: GPUBuffer;
  readonly #uniformValues: DataView<ArrayBuffer>;
  readonly #uniformStride: number;
  /** Buffers that commands not yet submitted use. */
  readonly #waiting = new Set<PooledBuffer>();
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #dispatches = 0;
  #submissions = 0;

  constructor({ device, faults }: OpenedDevice) {
    this.#device = device;
    this.#faults = faults;
    this.tensors = new BufferPool(device, USAGE.storage | USAGE.copySource | USAGE.copyTarget);
    this.#staging = new BufferPool(device, USAGE.mapRead | USAGE.copyTarget);
    this.#uniformStride = Math.max(64, device.limits.minUniformBufferOffsetAlignment);
    this.#uniformValues = new DataView(new ArrayBuffer(this.#uniformStride * DISPATCHES_PER_SUBMISSION));
    this.#uniforms = device.createBuffer({
      size: this.#uniformValues.byteLength,
      usage: USAGE.uniform | USAGE.copyTarget,
    });
  }

  /** Everything that was ever allocated on the device for tensors and for reading them, and how often work was submitted. */
  get counts(): { buffers: number; bytes: number; submissions: number } {
    const [tensors, staging] = [this.tensors.allocated, this.#staging.allocated];
    return {
      buffers: tensors.buffers + staging.buffers,
      bytes: tensors.bytes + staging.bytes,
      submissions: this.#submissions,
    };
  }

  dispatch<Fields extends string>(
    kernel: Kernel<Readonly<Record<Fields, 'u32' | 'f32'>>>,
    { fields, reads, writes, groups }: Dispatch<Fields>,
  ): void {
    this.#faults.throwIfAny();
    if (groups === 0) return;
    const pipeline = this.#pipelineOf(kernel);
    const buffers = [...reads, ...writes];
    const uniform = { buffer: this.#uniforms, ...this.#writeFields(kernel, fields) };
    const group = this.#device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [uniform, ...buffers.map(({ buffer }) => ({ buffer }))].map((resource, binding) => ({
        binding,
        resource,
      })),
    });
    this.#encoder ??= this.#device.createCommandEncoder();
    this.#pass ??= this.#encoder.beginComputePass();
    this.#pass.setPipeline(pipeline);
    this.#pass.setBindGroup(0, group);
    this.#pass.dispatchWorkgroups(...spreadGroups(groups, this.#device.limits.maxComputeWorkgroupsPerDimension));
    for (const buffer of buffers) this.#waiting.add(buffer);
    this.#dispatches++;
    if (this.#dispatches === DISPATCHES_PER_SUBMISSION) this.#submit();
  }

  /** Copy values into a buffer; the array may be written to afterwards. */
  write(target: PooledBuffer, values: Float32Array<ArrayBuffer>): void {
    this.#faults.throwIfAny();
    // Writing overtakes commands that wait: those that use what the buffer held before go first.
    if (this.#waiting.has(target)) this.#submit();
    this.#device.queue.writeBuffer(target.buffer, 0, values);
  }

  /** The first `count` values of a buffer, once all commands before are done. */
  async read(source: PooledBuffer, count: number): Promise<Float32Array<ArrayBuffer>> {
    const sizeBytes = count * Float32Array.BYTES_PER_ELEMENT;
    const staging = this.#staging.take(sizeBytes);
    this.#endPass();
    this.#encoder ??= this.#device.createCommandEncoder();
    this.#encoder.copyBufferToBuffer(source.buffer, 0, staging.buffer, 0, sizeBytes);
    this.#submit();
    try {
      await staging.buffer.mapAsync(MAP_READ, 0, sizeBytes);
    } catch (error) {
      this.#faults.throwIfAny();
      const found = error instanceof Error ? error.message : String(error);
      throw new ProductError('engine/failed', `the GPU gave no result: ${found}; continue with --resume`, {
        cause: error,
      });
    }
    const values = new Float32Array(staging.buffer.getMappedRange(0, sizeBytes).slice(0));
    staging.buffer.unmap();
    this.#staging.give(staging);
    this.#faults.throwIfAny();
    return values;
  }

  #pipelineOf(kernel: Kernel): GPUComputePipeline {
    const known = this.#pipelines.get(kernel);
    if (known !== undefined) return known;
    const { name, source, reads, writes } = kernel;
    const types: GPUBufferBindingType[] = [
      'uniform',
      ...Object.keys(reads).map(() => 'read-only-storage' as const),
      ...Object.keys(writes).map(() => 'storage' as const),
    ];
    const layout = this.#device.createBindGroupLayout({
      entries: types.map((type, binding) => ({ binding, visibility: COMPUTE_STAGE, buffer: { type } })),
    });
    const pipeline = this.#device.createComputePipeline({
      label: name,
      layout: this.#device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module: this.#device.createShaderModule({ label: name, code: source }), entryPoint: 'main' },
    });
    this.#pipelines.set(kernel, pipeline);
    return pipeline;
  }

  #writeFields(kernel: Kernel, fields: Readonly<Record<string, number>>): { offset: number; size: number } {
    const offset = this.#dispatches * this.#uniformStride;
    const types = Object.entries(kernel.fields);
    types.forEach(([name, type], index) => {
      const value = fields[name];
      if (value === undefined) throw new Error(`internal: "${kernel.name}" needs the field "${name}"`);
      if (type === 'u32') this.#uniformValues.setUint32(offset + index * 4, value, true);
      else this.#uniformValues.setFloat32(offset + index * 4, value, true);
    });
    return { offset, size: types.length * 4 };
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = undefined;
  }

  #submit(): void {
    if (this.#encoder === undefined) return;
    this.#endPass();
    const used = this.#dispatches * this.#uniformStride;
    if (used > 0) this.#device.queue.writeBuffer(this.#uniforms, 0, this.#uniformValues.buffer, 0, used);
    this.#device.queue.submit([this.#encoder.finish()]);
    this.#submissions++;
    this.#encoder = undefined;
    this.#dispatches = 0;
    this.#waiting.clear();
  }
}

/** As many workgroups or a few more, in a grid whose sides no device refuses; kernels number them line by line. */
export function spreadGroups(count: number, largestSide: number): [columns: number, lines: number] {
  if (count <= largestSide) return [count, 1];
  const lines = Math.ceil(count / largestSide);
  if (lines > largestSide) throw new Error(`internal: ${count} workgroups do not fit into one dispatch`);
  return [Math.ceil(count / lines), lines];
}
