/**
 * The weights of a model in the one form that the kernels read, in one block of the engine's memory.
 *
 *   direct     [panel][tap][k][8] float32
 *   Winograd   [matrix][panel][k][8] float32 or int16, then scales [matrix][channels] float32 for int16;
 *              [k][12] where a map has four tiles at most, channels padded to a multiple of 12
 *
 * Batch norms and biases are not multiplied into them: they become a gain and a shift per channel that the last kernel of
 * a convolution applies anyway. So the same weights serve the plan that folds them and the plan that is asked for the
 * values before them.
 */
import type { Heap } from './heap.ts';
import type { Kernels } from './kernel-module.ts';
import { countTiles, type Algorithm, type MapLayout, type NetworkLayout } from './layout.ts';
import type { Network } from './network.ts';
import type { Shards, StoredWeight } from './shards.ts';

/**
 * Raw bytes and decoded slab of a kernel lie in the arena of activations, since no model runs while one is packed. They
 * take no more than this, which the arena of a CIFAR ResNet-18 has anyway, unless a window is very large.
 */
const STAGING_BYTES = 1_835_008;

/** What packing needs of the engine. */
interface PackingEngine {
  heap: Heap;
  kernels: Kernels;
  /** Address of the arena, of at least so many bytes. It may move whenever packing waits. */
  reserveArena(bytes: number): number;
}

/** What the builds of the kernels differ in. */
export interface PanelForm {
  streams: number;
  /** Channels of a panel where no more than four rows meet it: 8 or 12. */
  fourRowColumns: number;
}

function panelFormOf({ STREAMS, FOUR_ROW_COLUMNS }: Kernels): PanelForm {
  return { streams: STREAMS.value, fourRowColumns: FOUR_ROW_COLUMNS.value };
}

export interface PackedKernel {
  algorithm: Algorithm;
  address: number;
  bytes: number;
  /** Channels of a panel, and channels with the padding that panels need. */
  columns: 8 | 12;
  channels: number;
  /** Of one matrix; a direct kernel is one matrix. */
  planeBytes: number;
  streamBytes: number;
  /** Step from one panel to the next within a stream. */
  panelBytes: number;
  /** Of int16 weights, otherwise 0. */
  scales: number;
}

/** Sizes of a kernel; addresses are relative. `channels` and `depth` are padded to a multiple of 8. */
function measureKernel(
  algorithm: Algorithm,
  { taps, depth, output, form }: { taps: number; depth: number; output: MapLayout; form: PanelForm },
): PackedKernel {
  const isWinograd = algorithm.kind === 'winograd';
  const hasFourRows = isWinograd && countTiles(algorithm.tile, output).count <= 4;
  const columns = hasFourRows && form.fourRowColumns === 12 ? 12 : 8;
  const streams = columns === 12 ? 3 : form.streams;
  const channels = Math.ceil(output.depth / columns) * columns;
  const size = isWinograd && algorithm.isInt16 ? 2 : 4;
  const k = isWinograd ? depth : taps * depth;
  const planes = isWinograd ? algorithm.matrices ** 2 : 1;
  const planeBytes = k * channels * size;
  const scaleBytes = size === 2 ? planes * channels * 4 : 0;
  return {
    ...{ algorithm, address: 0, bytes: planes * planeBytes + scaleBytes, columns, channels },
    ...{ planeBytes, streamBytes: planeBytes / streams, panelBytes: (k * columns * size) / streams },
    scales: size === 2 ? planes * planeBytes : 0,
  };
}

export interface PackedWeights {
  /** By node. */
  kernels: ReadonlyMap<number, PackedKernel>;
  address: number;
  bytes: number;
}

/** Sizes of all kernels of a network, and of the block that they lie in. */
export function measureWeights(network: Network, layout: NetworkLayout, form: PanelForm): PackedWeights {
  const kernels = new Map<number, PackedKernel>();
  let bytes = 0;
  for (const [index, algorithm] of layout.algorithms) {
    const node = network.nodes[index];
    const input = layout.maps[node?.inputs[0] ?? -1];
    const output = layout.maps[index];
    if (node?.operation.kind !== 'convolution' || !input || !output) throw new Error('internal: no convolution');
    const taps = node.operation.height * node.operation.width;
    const kernel = measureKernel(algorithm, { taps, depth: input.depth, output, form });
    kernels.set(index, { ...kernel, address: bytes, scales: kernel.scales === 0 ? 0 : bytes + kernel.scales });
    bytes += Math.ceil(kernel.bytes / 128) * 128;
  }
  return { kernels, address: 0, bytes };
}

/** Bytes of the arena that packing takes. */
export function measureStaging(network: Network, layout: NetworkLayout): number {
  const slabs = [...layout.algorithms.keys()].map((index) => {
    const node = network.nodes[index];
    const input = layout.maps[node?.inputs[0] ?? -1];
    const output = layout.maps[index];
    if (node?.operation.kind !== 'convolution' || !input || !output) throw new Error('internal: no convolution');
    const taps = node.operation.height * node.operation.width;
    const { depth: channels } = output;
    return measureSlab({ taps, depth: input.depth, channels, realChannels: node.shape.channels }).bytes;
  });
  return Math.max(STAGING_BYTES, ...slabs);
}

/** How many k of a kernel are unpacked at once, and the bytes that takes. `channels` and `depth` are padded. */
function measureSlab(size: { taps: number; depth: number; channels: number; realChannels: number }): {
  slabDepth: number;
  bytes: number;
} {
  const bytesPerRow = size.taps * size.channels * 4 + size.realChannels * 4;
  // Multiples of 4 keep the pairs of k of a stream in one slab.
  const most = Math.max(4, Math.floor(STAGING_BYTES / bytesPerRow / 4) * 4);
  const slabDepth = Math.min(size.depth, most);
  return { slabDepth, bytes: slabDepth * bytesPerRow };
}

/**
 * Reads `shards` in the order of the file into a new block of the heap. Yields, before each kernel, how many bytes of the
 * shards must be there to go on; ended early, it frees what it took.
 */
export function* packWeights(
  engine: PackingEngine,
  network: Network,
  layout: NetworkLayout,
  shards: Shards,
): Generator<number, PackedWeights> {
  const measured = measureWeights(network, layout, panelFormOf(engine.kernels));
  const address = engine.heap.allocate(measured.bytes);
  let isComplete = false;
  try {
    const kernels = new Map(
      [...measured.kernels].map(([index, kernel]) => {
        const scales = kernel.scales === 0 ? 0 : kernel.scales + address;
        return [index, { ...kernel, address: kernel.address + address, scales }] as const;
      }),
    );
    const works = [...kernels].map(([index, kernel]) => {
      const node = network.nodes[index];
      const weight = shards.weights.get(node?.operation.kind === 'convolution' ? node.operation.kernel : '');
      const channels = layout.maps[index]?.depth;
      const depth = layout.maps[node?.inputs[0] ?? -1]?.depth;
      if (!weight || !channels || !depth) throw new Error(`internal: no weights for "${node?.name}"`);
      return { kernel, weight, channels, depth };
    });
    const ordered = works.toSorted((a, b) => a.weight.offset - b.weight.offset);
    for (const [index, work] of ordered.entries()) {
      yield work.weight.offset + work.weight.size;
      packKernel(engine, shards, work);
      // Two convolutions may share a kernel: what comes next decides what can go.
      shards.release(ordered[index + 1]?.weight.offset ?? Infinity);
    }
    isComplete = true;
    return { ...measured, kernels, address };
  } finally {
    if (!isComplete) engine.heap.free(address);
  }
}

interface KernelWork {
  kernel: PackedKernel;
  weight: StoredWeight;
  /** Padded channels out and in. */
  channels: number;
  depth: number;
}

function packKernel(engine: PackingEngine, shards: Shards, { kernel, weight, channels, depth }: KernelWork): void {
  const { heap, kernels } = engine;
  const [realDepth = 0, realChannels = 0] = weight.shape.slice(-2);
  const taps = weight.shape.slice(0, -2).reduce((product, size) => product * size, 1);
  const { algorithm, address, planeBytes, streamBytes, panelBytes, scales, columns } = kernel;
  const { slabDepth, bytes } = measureSlab({ taps, depth, channels, realChannels });
  const staging = engine.reserveArena(bytes);
  const raw = staging + taps * slabDepth * channels * 4;

  const forEachSlab = (visit: (firstK: number, count: number) => void): void => {
    for (let firstK = 0; firstK < depth; firstK += slabDepth) {
      const count = Math.min(slabDepth, depth - firstK);
      const rows = Math.max(0, Math.min(count, realDepth - firstK));
      for (let tap = 0; tap < taps; tap++) {
        const target = staging + tap * count * channels * 4;
        const from = weight.offset + (tap * realDepth + firstK) * realChannels * weight.bytesPerValue;
        shards.copy(from, heap.bytes(raw, rows * realChannels * weight.bytesPerValue));
        kernels.decodeRows(weight.storage, raw, target, rows, realChannels, channels, weight.scale, weight.minimum);
        kernels.fillValue(target + rows * channels * 4, (count - rows) * channels * 4, 0);
      }
      visit(firstK, count);
    }
  };

  if (algorithm.kind === 'direct') {
    forEachSlab((firstK, count) => {
      for (let tap = 0; tap < taps; tap++) {
        const slab = staging + tap * count * channels * 4;
        kernels.packDirect(slab, tap * depth + firstK, count, channels, address, streamBytes, panelBytes);
      }
    });
    return;
  }
  const { code, matrices, isInt16 } = algorithm;
  const scaleBytes = kernel.channels * 4;
  clearPadding(kernels, kernel, { from: channels, planes: matrices ** 2 });
  const pack = (pass: number) => (firstK: number, count: number) =>
    kernels.packWinograd(
      ...[code, pass, staging, firstK, count, channels, address, planeBytes, streamBytes, panelBytes],
      ...[scales, scaleBytes, columns],
    );
  if (!isInt16) return forEachSlab(pack(0));
  kernels.fillValue(scales, matrices ** 2 * scaleBytes, 0);
  forEachSlab(pack(1));
  kernels.finishScales(scales, matrices ** 2 * kernel.channels);
  forEachSlab(pack(2));
}

/** The padding of the last panel of 12 channels is multiplied too. */
function clearPadding(
  kernels: Kernels,
  { address, channels, planeBytes, panelBytes, streamBytes }: PackedKernel,
  { from, planes }: { from: number; planes: number },
): void {
  // Only panels of 12 are padded; a vector of four channels lies in one of three streams.
  for (let vector = from / 4; vector < channels / 4; vector++) {
    const offset = Math.floor(vector / 3) * panelBytes + (vector % 3) * streamBytes;
    for (let plane = 0; plane < planes; plane++) {
      kernels.fillValue(address + plane * planeBytes + offset, panelBytes, 0);
    }
  }
}
