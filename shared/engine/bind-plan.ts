/** From a plan to calls of the kernels, with all addresses filled in. */
import type { Kernels } from './kernel-module.ts';
import { countTiles, type Convolution, type MapLayout, type NetworkLayout } from './layout.ts';
import type { Network } from './network.ts';
import type { PackedKernel, PackedWeights } from './packed-weights.ts';
import { MAX_BLOCK_TILES, padTiles, planeBytes, type Plan, type PlanStep } from './plan.ts';

export interface BoundModel {
  kernels: Kernels;
  network: Network;
  layout: NetworkLayout;
  weights: PackedWeights;
}

/** A map at its place. */
interface PlacedMap extends MapLayout {
  /** First byte of the ring, and first byte of the map inside it. */
  origin: number;
  address: number;
}

export interface BoundPlan {
  /** One call per step of the plan; the inputs are imported and outputs exported around them. */
  runs: readonly (() => void)[];
  mapAt(index: number): PlacedMap;
}

/** `vectors` has the gain and the shift of each convolution: [gain][shift], both padded, at the step's address. */
export function bindPlan(
  model: BoundModel,
  plan: Plan,
  arena: number,
  vectors: ReadonlyMap<PlanStep, number>,
): BoundPlan {
  const mapAt = (index: number): PlacedMap => {
    const map = model.layout.maps[index];
    const offset = plan.offsets.get(index);
    if (map === undefined || offset === undefined) throw new Error(`internal: node ${index} has no place`);
    const origin = arena + offset;
    return { ...map, origin, address: origin + map.inside };
  };
  const binder = new PlanBinder(model, plan, arena, vectors, mapAt);
  return { runs: plan.steps.map((step) => binder.bind(step)), mapAt };
}

class PlanBinder {
  readonly #model: BoundModel;
  readonly #plan: Plan;
  readonly #arena: number;
  readonly #vectors: ReadonlyMap<PlanStep, number>;
  readonly #mapAt: (index: number) => PlacedMap;

  constructor(
    model: BoundModel,
    plan: Plan,
    arena: number,
    vectors: ReadonlyMap<PlanStep, number>,
    mapAt: (index: number) => PlacedMap,
  ) {
    this.#model = model;
    this.#plan = plan;
    this.#arena = arena;
    this.#vectors = vectors;
    this.#mapAt = mapAt;
  }

  bind(step: PlanStep): () => void {
    const run = this.#bindOperation(step);
    const clear = this.#bindClearRing(this.#mapAt(step.output));
    if (clear === undefined) return run;
    return () => {
      run();
      clear();
    };
  }

  /** The ring is cleared after the step: Winograd tiles write into it, and elementwise steps do not leave it zero. */
  #bindClearRing(map: PlacedMap): (() => void) | undefined {
    const { kernels } = this.#model;
    const { origin, rowBytes, pixelBytes, ring, height, width } = map;
    if (ring.before === 0 && ring.after === 0) return undefined;
    return () => kernels.clearRing(origin, rowBytes, pixelBytes, ring.before, height, width, ring.after);
  }

  #bindOperation(step: PlanStep): () => void {
    const { kernels } = this.#model;
    const { operation } = step;
    const target = this.#mapAt(step.output);
    if (operation.kind === 'input') return () => undefined;
    const [source, second] = step.inputs.map((index) => this.#mapAt(index));
    if (source === undefined) throw new Error('internal: a step without an input');
    switch (operation.kind) {
      case 'convolution':
        return this.#bindConvolution(step, operation, source, target);
      case 'relu':
        return () => kernels.applyRelu(source.origin, target.origin, target.bytes);
      case 'sigmoid':
        return () => kernels.applySigmoid(source.origin, target.origin, target.bytes);
      case 'softmax':
        return () => kernels.applySoftmax(source.address, target.address, target.channels);
      case 'linear':
        return () => kernels.applyLinear(source.origin, target.origin, target.bytes, operation.factor, operation.term);
      case 'combine': {
        if (second === undefined) throw new Error('internal: an operation of two maps has one');
        const code = { add: 0, subtract: 1, multiply: 2 }[operation.operation];
        return () => kernels.combine(code, source.origin, second.origin, target.origin, target.bytes);
      }
      case 'channels': {
        const gain = this.#vectorsOf(step);
        const shift = gain + target.pixelBytes;
        return () => kernels.applyChannels(source.origin, target.origin, target.bytes, target.pixelBytes, gain, shift);
      }
      case 'pad':
        return bindPad(kernels, operation, source, target);
      case 'subsample':
        return () =>
          kernels.copyPixels(
            ...[source.address, source.rowBytes, source.pixelBytes, operation.stride],
            ...[target.address, target.rowBytes, target.pixelBytes, target.height, target.width, target.depth, 0],
          );
      case 'maxPool':
        return () =>
          kernels.poolMaximum(
            ...[source.address, source.rowBytes, source.pixelBytes, source.height, source.width],
            ...[operation.height, operation.width, operation.strideY, operation.strideX],
            ...[operation.padding.top, operation.padding.left],
            ...[target.address, target.rowBytes, target.height, target.width],
          );
      case 'average':
        return () =>
          kernels.averageMap(
            ...[source.address, source.rowBytes, source.pixelBytes, source.height, source.width, target.address],
          );
      case 'alias':
        throw new Error('internal: an alias is no step');
      default:
        throw new Error(`internal: step ${JSON.stringify(operation satisfies never)}`);
    }
  }

  #vectorsOf(step: PlanStep): number {
    const address = this.#vectors.get(step);
    if (address === undefined) throw new Error('internal: a step without gain and shift');
    return address;
  }

  #bindConvolution(step: PlanStep, convolution: Convolution, source: PlacedMap, target: PlacedMap): () => void {
    const kernel = this.#model.weights.kernels.get(step.nodes[0] ?? -1);
    if (kernel === undefined) throw new Error('internal: a convolution without weights');
    const { padding } = convolution;
    const first = source.address - padding.top * source.rowBytes - padding.left * source.pixelBytes;
    const gain = this.#vectorsOf(step);
    const residual = step.residual === undefined ? 0 : this.#mapAt(step.residual).origin - target.origin;
    const ending = [gain, gain + target.pixelBytes, residual, step.hasRelu ? 1 : 0];
    return kernel.algorithm.kind === 'direct'
      ? this.#bindDirect(kernel, convolution, first, source, target, ending)
      : this.#bindWinograd(kernel, first, source, target, ending);
  }

  #bindDirect(
    kernel: PackedKernel,
    { height, width, stride }: Convolution,
    first: number,
    source: PlacedMap,
    target: PlacedMap,
    ending: readonly number[],
  ): () => void {
    const { kernels } = this.#model;
    const values = [
      ...[first, source.rowBytes, source.pixelBytes, height, width, stride],
      ...[kernel.address, kernel.streamBytes, kernel.panelBytes, target.depth],
      ...[target.address, target.rowBytes, target.height, target.width, ...ending],
    ];
    return () => kernels.convolveDirect(...values);
  }

  #bindWinograd(
    kernel: PackedKernel,
    first: number,
    source: PlacedMap,
    target: PlacedMap,
    ending: readonly number[],
  ): () => void {
    const { kernels } = this.#model;
    const { algorithm } = kernel;
    if (algorithm.kind !== 'winograd') throw new Error('internal: no Winograd kernel');
    const { code, tile, stride, points, matrices, isInt16 } = algorithm;
    const { across, count } = countTiles(tile, target);
    const block = Math.min(MAX_BLOCK_TILES, count);
    const v = this.#arena + this.#plan.points;
    const m = this.#arena + this.#plan.products;
    const vPlane = planeBytes(block, source.pixelBytes);
    const mRow = kernel.channels * 4;
    const mPlane = planeBytes(block, mRow);
    const calls: (() => void)[] = [];
    for (let start = 0; start < count; start += block) {
      const tiles = Math.min(block, count - start);
      const read = [code, first, source.rowBytes, source.pixelBytes, across, tile * stride, start, tiles, v, vPlane];
      const weights = [kernel.address, kernel.planeBytes, kernel.streamBytes, kernel.panelBytes, kernel.scales];
      const head = [isInt16 ? 1 : 0, points, matrices, v, vPlane];
      const fourRows = [...head, source.pixelBytes, ...weights, m, mPlane, mRow];
      const anyRows = [...head, padTiles(tiles), source.pixelBytes, ...weights, m, mPlane, target.depth];
      const write = [
        code,
        m,
        mPlane,
        mRow,
        across,
        start,
        tiles,
        target.address,
        target.rowBytes,
        target.pixelBytes,
        ...ending,
      ];
      calls.push(() => {
        kernels.transformInput(...read);
        if (kernel.columns === 12) kernels.multiplyFourRows(...fourRows);
        else kernels.multiplyPoints(...anyRows);
        kernels.transformOutput(...write);
      });
    }
    const [only, ...more] = calls;
    return only !== undefined && more.length === 0 ? only : () => calls.forEach((call) => call());
  }
}

function bindPad(
  kernels: Kernels,
  { edges, before, value }: { edges: { top: number; left: number }; before: number; value: number },
  source: PlacedMap,
  target: PlacedMap,
): () => void {
  const first = target.address + edges.top * target.rowBytes + edges.left * target.pixelBytes;
  return () => {
    kernels.fillValue(target.origin, target.bytes, value);
    kernels.copyPixels(
      ...[source.address, source.rowBytes, source.pixelBytes, 1],
      ...[first, target.rowBytes, target.pixelBytes, source.height, source.width, source.channels, before],
    );
  };
}
