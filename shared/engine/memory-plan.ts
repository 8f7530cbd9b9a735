/**
 * What a model takes of the engine's memory, from its graph alone: nothing is loaded for it.
 *
 *   scratch | arena of activations, and of staging while loading | weights of all groups | vectors of the plans
 *
 * Scratch and arena are the engine's, and shared by the models in it.
 */
import { HEAP_START } from './heap.ts';
import { layOut, type EngineMode, type NetworkLayout } from './layout.ts';
import type { Network } from './network.ts';
import { measureStaging, measureWeights, type PanelForm } from './packed-weights.ts';
import { makePlan, type Plan } from './plan.ts';

/** So many plans are kept per model, the latest used: gains and shifts of each are some tens of kilobytes. */
export const MAX_PLANS = 8;
/** Of the build that pads most; the number of streams changes no bytes. */
const WIDEST_PANELS: PanelForm = { streams: 4, fourRowColumns: 12 };

export interface MemoryPlan {
  mode: EngineMode;
  /** Packed kernels of a stage, or of a layer outside the stages, in the order of computation. */
  groups: readonly WeightGroup[];
  weightBytes: number;
  /** Activations: what all layers at once take, or the usual outputs or the staging of weights if that is more. */
  arenaBytes: number;
  /** Of `arenaBytes`, what reading every layer at once adds to reading the last one. */
  tapBytes: number;
  vectorBytes: number;
  scratchBytes: number;
  /** Of the model alone: weights and vectors. */
  ownBytes: number;
  /** What models in one engine share: it has the most that any of them needs. */
  sharedBytes: number;
  /** Of an engine with this model alone. */
  totalBytes: number;
}

/** What models take together in one engine. */
export function sumMemory(models: readonly Pick<MemoryPlan, 'ownBytes' | 'sharedBytes'>[]): number {
  const shared = Math.max(0, ...models.map(({ sharedBytes }) => sharedBytes));
  const own = models.reduce((sum, { ownBytes }) => sum + ownBytes, 0);
  return own + shared;
}

export interface WeightGroup {
  name: string;
  kernels: number;
  bytes: number;
  /** Of `bytes`, what lies in 16 bits. */
  int16Bytes: number;
}

/** The values of vectors do not count, only shapes. */
export function planMemory(network: Network, mode: EngineMode): MemoryPlan {
  const layout = layOut(network, mode);
  const { kernels, bytes: weightBytes } = measureWeights(network, layout, WIDEST_PANELS);
  const groups = new Map<string, WeightGroup>();
  for (const [index, { algorithm, bytes }] of kernels) {
    const name = groupOf(network.nodes[index]?.name ?? '');
    const group = groups.get(name) ?? { name, kernels: 0, bytes: 0, int16Bytes: 0 };
    const isInt16 = algorithm.kind === 'winograd' && algorithm.isInt16;
    groups.set(name, {
      name,
      kernels: group.kernels + 1,
      bytes: group.bytes + bytes,
      int16Bytes: group.int16Bytes + (isInt16 ? bytes : 0),
    });
  }
  const { all, last } = makeLargestPlans(network, layout);
  const tapBytes = Math.max(0, all.arenaBytes - last.arenaBytes);
  const arenaBytes = Math.max(last.arenaBytes + tapBytes, measureStaging(network, layout));
  const vectorBytes = MAX_PLANS * measureVectors(all, layout);
  const sizes = { ownBytes: weightBytes + vectorBytes, sharedBytes: HEAP_START + arenaBytes };
  return {
    mode,
    groups: [...groups.values()],
    weightBytes,
    arenaBytes,
    tapBytes,
    vectorBytes,
    scratchBytes: HEAP_START,
    ...sizes,
    totalBytes: sumMemory([sizes]),
  };
}

/** Bytes of the arena that serves the last node as well as all of them at once, and the packing of the weights. */
export function measureArena(network: Network, layout: NetworkLayout): number {
  const { all, last } = makeLargestPlans(network, layout);
  return Math.max(all.arenaBytes, last.arenaBytes, measureStaging(network, layout));
}

/** The plans for every node, and for the last one. */
function makeLargestPlans(network: Network, layout: NetworkLayout): { all: Plan; last: Plan } {
  const indices = [...network.nodes.keys()];
  return { all: makePlan(network, layout, indices), last: makePlan(network, layout, indices.slice(-1)) };
}

/** Gains and shifts of the plan with the most of them: nothing is folded when every node is asked for. */
function measureVectors({ steps }: Plan, layout: NetworkLayout): number {
  return steps
    .filter(({ operation, gain }) => operation.kind === 'channels' || gain !== undefined)
    .reduce((sum, { output }) => sum + 2 * (layout.maps[output]?.pixelBytes ?? 0), 0);
}

/** `layer3.0.conv1` belongs to `layer3`, `linear/MatMul` to `linear`. */
function groupOf(name: string): string {
  return name.split(/[./]/, 1)[0] ?? name;
}
