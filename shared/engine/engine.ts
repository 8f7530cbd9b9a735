/**
 * The engine without TensorFlow.js: one instance of the kernels, its memory, and the models in it.
 *
 * The arena of activations is shared by all models: a run is one synchronous call, nothing in it outlives the call.
 */
import { bindPlan, type BoundModel, type BoundPlan } from './bind-plan.ts';
import { Heap } from './heap.ts';
import { instantiateKernels, type Kernels } from './kernel-module.ts';
import { layOut, type Algorithm, type EngineMode, type NetworkLayout } from './layout.ts';
import { measureArena, MAX_PLANS } from './memory-plan.ts';
import type { Network } from './network.ts';
import { packWeights, type PackedWeights } from './packed-weights.ts';
import { makePlan, type Plan, type PlanStep } from './plan.ts';
import type { Shards } from './shards.ts';

export interface EngineMemory {
  /** Of the WebAssembly memory, used or not; it never shrinks. */
  wasmBytes: number;
  weightBytes: number;
  arenaBytes: number;
}

export class Engine {
  readonly kernels: Kernels;
  readonly heap: Heap;
  #arena = { address: 0, bytes: 0 };
  readonly #models = new Set<EngineModel>();

  constructor(module: WebAssembly.Module) {
    this.kernels = instantiateKernels(module);
    this.heap = new Heap(this.kernels.memory);
  }

  /** Pack the weights of a network; all shards are there. Errors: `engine/memory`. */
  load(network: Network, mode: EngineMode, shards: Shards): EngineModel {
    const packing = this.pack(network, mode, shards);
    for (;;) {
      const step = packing.next();
      if (step.done === true) return this.adopt(step.value, network);
    }
  }

  /**
   * The same kernel by kernel, while the shards arrive: yields how many bytes of them the next one needs. Of the network
   * only shapes count, the values of its vectors do not. Errors: `engine/memory`.
   */
  *pack(network: Network, mode: EngineMode, shards: Shards): Generator<number, PackedNetwork> {
    const layout = layOut(network, mode);
    // The arena first: models that come and go leave holes behind it, not before it.
    this.reserveArena(measureArena(network, layout));
    const weights = yield* packWeights(this, network, layout, shards);
    return { layout, weights, mode };
  }

  /** The model, from its packed kernels and the network with the values of its vectors. */
  adopt({ layout, weights, mode }: PackedNetwork, network: Network): EngineModel {
    const model = new EngineModel(this, { kernels: this.kernels, network, layout, weights }, mode, () =>
      this.#models.delete(model),
    );
    this.#models.add(model);
    return model;
  }

  /** Free what was packed and not adopted. */
  discard({ weights }: PackedNetwork): void {
    this.heap.free(weights.address);
  }

  /** Address of the arena, grown to at least so many bytes. Growing moves it. */
  reserveArena(bytes: number): number {
    if (bytes > this.#arena.bytes) {
      if (this.#arena.bytes > 0) this.heap.free(this.#arena.address);
      this.#arena = { address: 0, bytes: 0 };
      this.#arena = { address: this.heap.allocate(bytes), bytes };
    }
    return this.#arena.address;
  }

  get memory(): EngineMemory {
    const weightBytes = [...this.#models].reduce((sum, { weightBytes: bytes }) => sum + bytes, 0);
    return { wasmBytes: this.heap.memoryBytes, weightBytes, arenaBytes: this.#arena.bytes };
  }
}

export interface PackedNetwork {
  layout: NetworkLayout;
  weights: PackedWeights;
  mode: EngineMode;
}

interface PreparedPlan {
  plan: Plan;
  /** The nodes whose values are given out. */
  kept: ReadonlySet<number>;
  vectors: ReadonlyMap<PlanStep, number>;
  /** Of all vectors of the plan. */
  block: number;
  bound: BoundPlan | undefined;
  arena: number;
}

export class EngineModel {
  readonly mode: EngineMode;
  readonly network: Network;
  readonly #engine: Engine;
  readonly #model: BoundModel;
  readonly #plans = new Map<string, PreparedPlan>();
  readonly #onFree: () => void;
  #isFreed = false;

  constructor(engine: Engine, model: BoundModel, mode: EngineMode, onFree: () => void) {
    this.#engine = engine;
    this.#model = model;
    this.mode = mode;
    this.network = model.network;
    this.#onFree = onFree;
  }

  get weightBytes(): number {
    return this.#model.weights.bytes;
  }

  /** How a convolution is computed; undefined for any other node. */
  algorithmOf(index: number): Algorithm | undefined {
    return this.#model.layout.algorithms.get(index);
  }

  /**
   * `input` [batch, height, width, channels] -> the values of each asked node, [batch, ...shape of the node], dense and
   * owned by the caller. Pictures of a batch are run one after the other.
   */
  run(input: Float32Array, batch: number, asked: readonly number[]): Map<number, Float32Array<ArrayBuffer>> {
    const prepared = this.#prepare(asked);
    const bound = this.#bind(prepared);
    const outputs = new Map<number, Float32Array<ArrayBuffer>>();
    if (batch === 0) for (const index of prepared.kept) outputs.set(index, new Float32Array());
    for (let picture = 0; picture < batch; picture++) {
      this.#runPicture(prepared, bound, input.subarray((picture * input.length) / batch), (index, values) => {
        // An array that is made of its values is not set to zero first: all layers together are 8 MB a run.
        if (batch === 1) outputs.set(index, new Float32Array(values));
        else {
          const all = outputs.get(index) ?? new Float32Array(values.length * batch);
          all.set(values, picture * values.length);
          outputs.set(index, all);
        }
      });
    }
    return new Map(
      asked.map((index) => {
        const values = outputs.get(prepared.plan.outputs.get(index) ?? -1);
        if (values === undefined) throw new Error(`internal: node ${index} was not computed`);
        return [index, values];
      }),
    );
  }

  /** `give` gets the values of each output where they lie: it copies them. */
  #runPicture(
    { plan, arena, kept }: PreparedPlan,
    bound: BoundPlan,
    input: Float32Array,
    give: (index: number, values: Float32Array) => void,
  ): void {
    const { kernels } = this.#model;
    const { heap } = this.#engine;
    const staging = arena + plan.exports;
    plan.steps.forEach((step, time) => {
      const map = bound.mapAt(step.output);
      const size = map.height * map.width * map.channels;
      const form = [map.rowBytes, map.pixelBytes, map.height, map.width, map.channels];
      if (step.operation.kind === 'input') {
        heap.floats(staging, size).set(input.subarray(0, size));
        kernels.importMap(staging, map.address, ...form);
      }
      bound.runs[time]?.();
      if (!kept.has(step.output)) return;
      kernels.exportMap(map.address, staging, ...form);
      give(step.output, heap.floats(staging, size));
    });
  }

  /** The plan for these outputs: what it fuses and where its maps lie. */
  planFor(asked: readonly number[]): Plan {
    return this.#prepare(asked).plan;
  }

  /** The calls of a plan, for measuring them one by one. They work on what the last run left in the arena. */
  bindFor(asked: readonly number[]): BoundPlan {
    return this.#bind(this.#prepare(asked));
  }

  #prepare(asked: readonly number[]): PreparedPlan {
    if (this.#isFreed) throw new Error('internal: the model is freed');
    const key = [...asked].toSorted((a, b) => a - b).join();
    let prepared = this.#plans.get(key);
    if (prepared === undefined) {
      for (const [oldest, old] of [...this.#plans].slice(0, Math.max(0, this.#plans.size - MAX_PLANS + 1))) {
        this.#engine.heap.free(old.block);
        this.#plans.delete(oldest);
      }
      prepared = this.#build(asked);
    } else this.#plans.delete(key);
    this.#plans.set(key, prepared);
    return prepared;
  }

  #build(asked: readonly number[]): PreparedPlan {
    const { network, layout } = this.#model;
    const plan = makePlan(network, layout, asked);
    this.#engine.reserveArena(plan.arenaBytes);
    const parts = plan.steps.flatMap((step) => {
      const vectors = vectorsOf(step);
      return vectors === undefined ? [] : [{ step, ...vectors, bytes: layout.maps[step.output]?.pixelBytes ?? 0 }];
    });
    const { heap } = this.#engine;
    const block = heap.allocate(parts.reduce((sum, { bytes }) => sum + 2 * bytes, 0));
    let address = block;
    const vectors = new Map<PlanStep, number>();
    for (const { step, gain, shift, bytes } of parts) {
      heap.floats(address, bytes / 2).fill(0);
      heap.floats(address, gain.length).set(gain);
      heap.floats(address + bytes, shift.length).set(shift);
      vectors.set(step, address);
      address += 2 * bytes;
    }
    return { plan, kept: new Set(plan.outputs.values()), vectors, block, bound: undefined, arena: 0 };
  }

  #bind(prepared: PreparedPlan): BoundPlan {
    const arena = this.#engine.reserveArena(prepared.plan.arenaBytes);
    if (prepared.bound === undefined || prepared.arena !== arena) {
      prepared.bound = bindPlan(this.#model, prepared.plan, arena, prepared.vectors);
      prepared.arena = arena;
    }
    return prepared.bound;
  }

  free(): void {
    if (this.#isFreed) return;
    this.#isFreed = true;
    for (const { block } of this.#plans.values()) this.#engine.heap.free(block);
    this.#plans.clear();
    this.#engine.heap.free(this.#model.weights.address);
    this.#onFree();
  }
}

function vectorsOf(step: PlanStep): { gain: ArrayLike<number>; shift: ArrayLike<number> } | undefined {
  if (step.operation.kind === 'channels') return step.operation;
  return step.gain === undefined || step.shift === undefined ? undefined : { gain: step.gain, shift: step.shift };
}
