/**
 * How maps and kernels lie in memory, and which algorithm a convolution is computed with. All of it follows from the
 * network alone, so that every plan of a model shares the weights and the form of the maps.
 */
import type { MapShape, Network, NetworkNode, Operation } from './network.ts';

/** `exact`: float32 throughout. `fast`: large kernels are stored as int16 with a scale per channel and matrix. */
export type EngineMode = 'exact' | 'fast';

export type Algorithm =
  | { kind: 'direct' }
  /** Tiles of `tile` x `tile` outputs; `code`, `points` and `matrices` per line as in `kernels/winograd.ts`. */
  | { kind: 'winograd'; tile: 2 | 4; stride: 1 | 2; code: number; points: number; matrices: number; isInt16: boolean };

export type Convolution = Extract<Operation, { kind: 'convolution' }>;

/**
 * Winograd where a 3x3 window meets enough channels. Tiles of 4x4 outputs save the most; on maps of 4x4 and less they
 * would leave one tile, and the weights, read once per tile, would be all the time goes to: 2x2 there.
 */
function chooseAlgorithm(convolution: Convolution, input: MapShape, output: MapShape, mode: EngineMode): Algorithm {
  const { height, width, stride } = convolution;
  const size = Math.min(output.height, output.width);
  if (height !== 3 || width !== 3 || (stride !== 1 && stride !== 2) || input.channels < 8 || size < 2) {
    return { kind: 'direct' };
  }
  const isSmall = size <= 8;
  const isInt16 = mode === 'fast' && isSmall && input.channels * output.channels >= 16_384;
  const tile = size <= 4 || (isSmall && !isInt16) ? 2 : 4;
  const matrices = tile + 2;
  if (stride === 1) return { kind: 'winograd', tile, stride, code: tile, points: matrices, matrices, isInt16 };
  return { kind: 'winograd', tile, stride, code: 10 + tile, points: 2 * tile + 1, matrices, isInt16 };
}

/** Tiles of a Winograd convolution, the last ones reaching over the edge. */
export function countTiles(tile: number, output: MapShape): { across: number; count: number } {
  const across = Math.ceil(output.width / tile);
  return { across, count: across * Math.ceil(output.height / tile) };
}

/** The ring around all maps of one size. */
export interface Ring {
  before: number;
  after: number;
}

/** A map of a network in memory, relative to where it starts. */
export interface MapLayout extends MapShape {
  /** Channels with padding. */
  depth: number;
  pixelBytes: number;
  rowBytes: number;
  bytes: number;
  ring: Ring;
  /** Of the first pixel inside the ring. */
  inside: number;
}

export interface NetworkLayout {
  maps: readonly MapLayout[];
  /** By node; only convolutions have one. */
  algorithms: ReadonlyMap<number, Algorithm>;
}

/** Maps of one size get one ring, the widest that any step needs, so that one map's pixels are at another's distances. */
export function layOut(network: Network, mode: EngineMode): NetworkLayout {
  const algorithms = new Map<number, Algorithm>();
  const rings = new Map<string, Ring>();
  const widen = ({ height, width }: MapShape, before: number, after: number): void => {
    const key = `${height}x${width}`;
    const ring = rings.get(key) ?? { before: 0, after: 0 };
    rings.set(key, { before: Math.max(ring.before, before), after: Math.max(ring.after, after) });
  };
  network.nodes.forEach((node, index) => {
    widen(node.shape, 0, 0);
    if (node.operation.kind !== 'convolution') return;
    const input = network.nodes[node.inputs[0] ?? -1];
    if (input === undefined) throw new Error(`internal: "${node.name}" reads nothing`);
    const algorithm = chooseAlgorithm(node.operation, input.shape, node.shape, mode);
    algorithms.set(index, algorithm);
    const reach = reachOf(node.operation, algorithm, input.shape, node.shape);
    widen(input.shape, reach.before, reach.after);
    widen(node.shape, 0, reach.over);
  });
  const readByConvolutionsOnly = findInputsOfConvolutions(network);
  const maps = network.nodes.map((node, index): MapLayout => {
    const { height, width, channels } = node.shape;
    const ring = rings.get(`${height}x${width}`) ?? { before: 0, after: 0 };
    const multiple = node.operation.kind === 'input' && readByConvolutionsOnly.has(index) ? 4 : 8;
    const depth = Math.ceil(channels / multiple) * multiple;
    const pixelBytes = depth * 4;
    const rowBytes = (ring.before + width + ring.after) * pixelBytes;
    const bytes = (ring.before + height + ring.after) * rowBytes;
    return { ...node.shape, depth, pixelBytes, rowBytes, bytes, ring, inside: ring.before * (rowBytes + pixelBytes) };
  });
  return { maps, algorithms };
}

/** Pixels that a convolution reads before and after its input, and writes after its output. */
function reachOf(
  { height, width, stride, padding }: Convolution,
  algorithm: Algorithm,
  input: MapShape,
  output: MapShape,
): { before: number; after: number; over: number } {
  const before = Math.max(padding.top, padding.left);
  const tile = algorithm.kind === 'winograd' ? algorithm.tile : 1;
  const rows = Math.ceil(output.height / tile) * tile;
  const columns = Math.ceil(output.width / tile) * tile;
  const after = Math.max(
    (rows - 1) * stride + height - padding.top - input.height,
    (columns - 1) * stride + width - padding.left - input.width,
    0,
  );
  return { before, after, over: Math.max(rows - output.height, columns - output.width) };
}

function findInputsOfConvolutions(network: Network): ReadonlySet<number> {
  const readers = new Map<number, NetworkNode[]>();
  for (const node of network.nodes) {
    for (const input of node.inputs) readers.set(input, [...(readers.get(input) ?? []), node]);
  }
  const isConvolution = ({ operation }: NetworkNode): boolean => operation.kind === 'convolution';
  return new Set([...readers].flatMap(([input, nodes]) => (nodes.every(isConvolution) ? [input] : [])));
}
