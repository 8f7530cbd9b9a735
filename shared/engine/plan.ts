/**
 * What is computed, in which order and where, for the outputs that are asked for.
 *
 * A convolution takes in what follows it as long as nobody else wants the values between: batch norm and bias (a gain and
 * a shift per channel), then an addition, then a ReLU. What somebody asks for is not folded away, so the plan for
 * `layer3` is that of `linear` cut short, and the plan for `layer3.0.conv1` ends with an unfolded convolution.
 *
 * Maps live in an arena, from the step that makes them to the last that reads them; their places are reused.
 */
import { countTiles, type Convolution, type NetworkLayout } from './layout.ts';
import type { Network, NetworkNode, Operation } from './network.ts';

export interface PlanStep {
  /** Nodes that the step computes, in order; the last one's values are its output. */
  nodes: readonly number[];
  operation: Operation;
  inputs: readonly number[];
  output: number;
  /** Of a convolution. */
  gain: Float32Array | undefined;
  shift: Float32Array | undefined;
  residual: number | undefined;
  hasRelu: boolean;
}

export interface Plan {
  steps: readonly PlanStep[];
  /** Bytes of the arena. */
  arenaBytes: number;
  /** Where the map of a node starts in the arena, by node. */
  offsets: ReadonlyMap<number, number>;
  /** Scratch of the Winograd steps, and where outputs are made dense. */
  points: number;
  products: number;
  exports: number;
  /** The node with the values of each output that was asked for. */
  outputs: ReadonlyMap<number, number>;
}

/**
 * Rows of a Winograd block: so many tiles are worked on together. Four full matrix tiles; the points and products of 64
 * channels (2 x 221 KB) then stay in a second-level cache of 1 MiB, which those of a whole 32x32 map do not.
 */
export const MAX_BLOCK_TILES = 24;

/** Tiles of a block, with the padding that the matrix tiles need: 4, or an even number from 6 on. */
export function padTiles(count: number): number {
  return count <= 4 ? 4 : count + (count % 2);
}

/** The largest distance between planes that keeps one cache set from being hit by all of them. */
const PLANE_SKEW = 64;

export function planeBytes(tiles: number, pixelBytes: number): number {
  return padTiles(tiles) * pixelBytes + PLANE_SKEW;
}

/** `asked` are indices of nodes. */
export function makePlan(network: Network, layout: NetworkLayout, asked: readonly number[]): Plan {
  const outputs = new Map(asked.map((index) => [index, resolve(network, index)]));
  const kept = new Set(outputs.values());
  const steps = fuse(network, findNeeded(network, kept), kept);
  return { steps, outputs, ...placeMaps(network, layout, steps, kept) };
}

function nodeAt(network: Network, index: number): NetworkNode {
  const node = network.nodes[index];
  if (node === undefined) throw new Error(`internal: no node ${index}`);
  return node;
}

/** The node that computes what an alias (`Identity`, dropout) passes on. */
function resolve(network: Network, index: number): number {
  const { operation, inputs } = nodeAt(network, index);
  return operation.kind === 'alias' && inputs[0] !== undefined ? resolve(network, inputs[0]) : index;
}

function readInputs(network: Network, index: number): number[] {
  return nodeAt(network, index).inputs.map((input) => resolve(network, input));
}

/** What the outputs depend on, in the order of computation. */
function findNeeded(network: Network, kept: ReadonlySet<number>): number[] {
  const needed = new Set<number>();
  const open = [...kept];
  for (let index = open.pop(); index !== undefined; index = open.pop()) {
    if (needed.has(index)) continue;
    needed.add(index);
    open.push(...readInputs(network, index));
  }
  return [...needed].toSorted((a, b) => a - b);
}

function fuse(network: Network, needed: readonly number[], kept: ReadonlySet<number>): PlanStep[] {
  const readers = new Map<number, number[]>();
  for (const index of needed) {
    for (const input of readInputs(network, index)) readers.set(input, [...(readers.get(input) ?? []), index]);
  }
  /** The one step that reads `index`, if nobody else wants its values. */
  const onlyReader = (index: number): number | undefined => {
    const [reader, ...others] = readers.get(index) ?? [];
    return kept.has(index) || others.length > 0 ? undefined : reader;
  };
  const taken = new Set<number>();
  // By the last node of the step: all inputs are there by then.
  const stepAt = new Map<number, PlanStep>();
  for (const index of needed) {
    if (taken.has(index)) continue;
    const node = nodeAt(network, index);
    const step =
      node.operation.kind === 'convolution'
        ? growConvolution(network, index, onlyReader, taken)
        : plainStep(network, index);
    stepAt.set(step.output, step);
  }
  return needed.flatMap((index) => stepAt.get(index) ?? []);
}

function plainStep(network: Network, index: number): PlanStep {
  const { operation } = nodeAt(network, index);
  const inputs = readInputs(network, index);
  const none = { gain: undefined, shift: undefined, residual: undefined, hasRelu: false };
  return { nodes: [index], operation, inputs, output: index, ...none };
}

/** A convolution with the steps that it can take in; they are added to `taken`. */
function growConvolution(
  network: Network,
  index: number,
  onlyReader: (index: number) => number | undefined,
  taken: Set<number>,
): PlanStep {
  const { shape } = nodeAt(network, index);
  const gain = new Float64Array(shape.channels).fill(1);
  const shift = new Float64Array(shape.channels);
  const nodes = [index];
  let residual: number | undefined;
  let hasRelu = false;
  let last = index;
  for (let next = onlyReader(last); next !== undefined && !hasRelu; next = onlyReader(last)) {
    const { operation } = nodeAt(network, next);
    if (taken.has(next)) break;
    if (operation.kind === 'channels' && residual === undefined) {
      const { gain: nextGain, shift: nextShift } = operation;
      gain.forEach((value, channel) => {
        const factor = nextGain[channel] ?? 0;
        gain[channel] = value * factor;
        shift[channel] = (shift[channel] ?? 0) * factor + (nextShift[channel] ?? 0);
      });
    } else if (operation.kind === 'combine' && operation.operation === 'add' && residual === undefined) {
      const others = readInputs(network, next).filter((input) => input !== last);
      // x + x reads one map twice.
      if (others.length !== 1) break;
      residual = others[0];
    } else if (operation.kind === 'relu') {
      hasRelu = true;
    } else break;
    taken.add(next);
    nodes.push(next);
    last = next;
  }
  const step = { nodes, operation: nodeAt(network, index).operation, inputs: readInputs(network, index), output: last };
  return { ...step, gain: Float32Array.from(gain), shift: Float32Array.from(shift), residual, hasRelu };
}

interface Places {
  arenaBytes: number;
  offsets: ReadonlyMap<number, number>;
  points: number;
  products: number;
  exports: number;
}

/** First fit by the time of birth: a map gets the lowest place that is free until its last reader is done. */
function placeMaps(
  network: Network,
  layout: NetworkLayout,
  steps: readonly PlanStep[],
  kept: ReadonlySet<number>,
): Places {
  const lastUse = new Map<number, number>();
  steps.forEach((step, time) => {
    for (const index of [...step.inputs, step.residual, step.output]) if (index !== undefined) lastUse.set(index, time);
  });
  const offsets = new Map<number, number>();
  const live = new Map<number, { from: number; to: number }>();
  let mapBytes = 0;
  steps.forEach((step, time) => {
    const bytes = align(layout.maps[step.output]?.bytes ?? 0);
    const busy = [...live.values()].toSorted((a, b) => a.from - b.from);
    let from = 0;
    for (const block of busy) {
      if (block.from - from >= bytes) break;
      from = Math.max(from, block.to);
    }
    live.set(step.output, { from, to: from + bytes });
    offsets.set(step.output, from);
    mapBytes = Math.max(mapBytes, from + bytes);
    for (const index of live.keys()) if ((lastUse.get(index) ?? time) <= time) live.delete(index);
  });
  let pointBytes = 0;
  let productBytes = 0;
  for (const step of steps) {
    const sizes = measureScratch(network, layout, step);
    pointBytes = Math.max(pointBytes, align(sizes.points));
    productBytes = Math.max(productBytes, align(sizes.products));
  }
  const exportBytes = Math.max(
    ...[...kept, ...steps.flatMap(({ operation, output }) => (operation.kind === 'input' ? [output] : []))].map(
      (index) => denseBytes(nodeAt(network, index)),
    ),
  );
  const points = mapBytes;
  const products = points + pointBytes;
  const exports = products + productBytes;
  return { arenaBytes: exports + align(exportBytes), offsets, points, products, exports };
}

function measureScratch(network: Network, layout: NetworkLayout, step: PlanStep): { points: number; products: number } {
  const [convolution] = step.nodes;
  const algorithm = layout.algorithms.get(convolution ?? -1);
  const input = layout.maps[step.inputs[0] ?? -1];
  const output = layout.maps[step.output];
  if (algorithm?.kind !== 'winograd' || !input || !output) return { points: 0, products: 0 };
  const tiles = Math.min(MAX_BLOCK_TILES, countTiles(algorithm.tile, nodeAt(network, step.output).shape).count);
  const planes = algorithm.points ** 2;
  return {
    points: planes * planeBytes(tiles, input.pixelBytes),
    // Rows of products are padded to a multiple of 12 channels where panels have as many.
    products: planes * planeBytes(tiles, Math.ceil(output.depth / 12) * 48),
  };
}

/** Multiply-adds of a step as it is written down, whatever the algorithm. */
export function countMultiplyAdds(network: Network, step: PlanStep): number {
  if (step.operation.kind !== 'convolution') return 0;
  const { height, width }: Convolution = step.operation;
  const output = nodeAt(network, step.output).shape;
  const depth = nodeAt(network, step.inputs[0] ?? -1).shape.channels;
  return height * width * depth * output.channels * output.height * output.width;
}

function denseBytes({ shape: { height, width, channels } }: NetworkNode): number {
  return height * width * channels * 4;
}

function align(bytes: number): number {
  return Math.ceil(bytes / 128) * 128;
}
