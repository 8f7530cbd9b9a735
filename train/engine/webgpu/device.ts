/** The GPU: which adapter, a device with the adapter's own limits, and what went wrong on it. */
import { ProductError } from '../../../shared/errors.ts';
import { loadDawn } from './dawn.ts';

export interface OpenedDevice {
  readonly device: GPUDevice;
  /** For logs: library, adapter, vendor and architecture; says so when it is a software adapter. */
  readonly description: string;
  /** Whether the "GPU" is a program on the CPU, for example SwiftShader or lavapipe. */
  readonly isSoftware: boolean;
  readonly faults: DeviceFaults;
}

/** Limits that the kernels or the size of a batch depend on; without asking, a device has the smallest of any GPU. */
const RAISED_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
] as const;

/**
 * Ask Dawn for the fastest adapter.
 *
 * Errors: `engine/unavailable` where Dawn is not set up, or finds no adapter at all
 */
export async function findAdapter(): Promise<{ adapter: GPUAdapter; isSoftware: boolean; version: string }> {
  const { gpu, version } = await loadDawn();
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null) {
    throw new ProductError(
      'engine/unavailable',
      'WebGPU finds no GPU on this machine; on Linux it needs the Vulkan loader (libvulkan1) and the driver of the card; otherwise choose another --engine',
    );
  }
  return { adapter, isSoftware: adapter.info.isFallbackAdapter, version };
}

/** Open the device that computes. Errors: those of {@link findAdapter}. */
export async function openDevice(): Promise<OpenedDevice> {
  const { adapter, isSoftware, version } = await findAdapter();
  const requiredLimits = Object.fromEntries(RAISED_LIMITS.map((name) => [name, adapter.limits[name]]));
  const device = await adapter.requestDevice({ label: 'training', requiredLimits });
  const { vendor, architecture, description } = adapter.info;
  const kind = isSoftware ? 'software adapter ' : '';
  const name = `${description || 'unnamed'} (${[vendor, architecture].filter(Boolean).join(', ') || 'no vendor'})`;
  return {
    device,
    isSoftware,
    description: `WebGPU (Dawn, webgpu ${version}) on ${kind}${name}`,
    faults: new DeviceFaults(device),
  };
}

/**
 * The first thing that went wrong on a device. WebGPU reports errors late and to nobody; here they are kept until the
 * engine's next call.
 */
export class DeviceFaults {
  #first: ProductError | undefined;

  constructor(device: GPUDevice) {
    device.addEventListener('uncapturederror', ({ error }) => {
      this.#first ??= describeError(error);
    });
    void this.#waitForLoss(device);
  }

  async #waitForLoss(device: GPUDevice): Promise<void> {
    const { reason, message } = await device.lost;
    this.#first ??= new ProductError(
      'engine/device-lost',
      `the GPU was lost (${reason}): ${message.trim() || 'no message'}; the last checkpoint is kept, continue with --resume`,
    );
  }

  /** Errors: `engine/out-of-memory`, `engine/device-lost`, `engine/failed`. */
  throwIfAny(): void {
    if (this.#first !== undefined) throw this.#first;
  }
}

/** Dawn's error classes are not global in Node, so the name of the class tells. */
function describeError(error: GPUError): ProductError {
  if (error.constructor.name === 'GPUOutOfMemoryError') {
    return new ProductError(
      'engine/out-of-memory',
      `the GPU has no memory left: ${error.message}; continue with a smaller --batch-size`,
    );
  }
  return new ProductError(
    'engine/failed',
    `the GPU reported an error: ${error.message}; please report it, and continue with another --engine`,
  );
}
