/**
 * The tfjs backend `edge`. Tensors are JavaScript arrays; the engine's memory holds weights and, during a call,
 * activations. What `execute` returns is computed when somebody reads it: only then is it known which outputs of a
 * model are wanted together, and one run of one plan gives them all.
 */
import { registerOp } from '@tensorflow/tfjs-converter';
import {
  DataStorage,
  engine as tfjsEngine,
  findBackend,
  KernelBackend,
  registerBackend,
  removeBackend,
  setBackend,
  type BackendValues,
  type DataType,
  type Tensor,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import { Engine, type EngineMemory, type EngineModel } from './engine.ts';
import { registerEdgeKernels } from './eager-kernels.ts';

export const EDGE_BACKEND = 'edge';

/** The custom op that a loaded model's nodes become: inputs picture and model, attribute `index` of the node. */
export const TAP_OP = 'EdgeTap';

type DataId = object;

/** One call of `execute`: its input, and the outputs that it handed out and nobody has read yet. */
interface PendingRun {
  model: EngineModel;
  input: Float32Array;
  batch: number;
  /** Node by tensor. */
  wanted: Map<DataId, number>;
}

interface EdgeData {
  values: BackendValues | undefined;
  run: PendingRun | undefined;
  dtype: DataType;
  references: number;
  /** Of the tensor that stands for a model: freed with it. */
  model: EngineModel | undefined;
}

/** `tf.memory()` on this backend: bytes of the engine besides what tfjs counts. */
export interface EdgeMemory extends EngineMemory {
  unreliable: boolean;
}

export class EdgeBackend extends KernelBackend {
  readonly engine: Engine;
  readonly #data: DataStorage<EdgeData>;
  /** Models whose weight tensor is not made yet, by the number in it. */
  readonly #unclaimed = new Map<number, EngineModel>();
  readonly #pending = new Map<EngineModel, Set<PendingRun>>();
  #lastHandle = 0;

  constructor(module: WebAssembly.Module) {
    super();
    this.engine = new Engine(module);
    this.#data = new DataStorage(this, tfjsEngine());
  }

  /**
   * The one value of the tensor that stands for a loaded model: tfjs makes that tensor with `write` and frees the model
   * by disposing of it.
   */
  announceModel(model: EngineModel): Int32Array<ArrayBuffer> {
    this.#lastHandle += 1;
    this.#unclaimed.set(this.#lastHandle, model);
    return Int32Array.of(MODEL_MARK, this.#lastHandle);
  }

  /** The model behind such a tensor. */
  modelOf(handle: TensorInfo): EngineModel {
    const { model } = this.#data.get(handle.dataId);
    if (model === undefined) throw new Error('internal: the tensor stands for no model');
    return model;
  }

  /** A tensor with the values of a node, to be computed when it is read. Tensors of one input share one run. */
  tapModel(model: EngineModel, input: Tensor, index: number): Tensor {
    const node = model.network.nodes[index];
    if (node === undefined) throw new Error(`internal: no node ${index}`);
    const [batch = 0] = input.shape;
    const run = this.#findRun(model, input, batch);
    const { height, width, channels } = node.shape;
    const dataId = this.#store({ run });
    run.wanted.set(dataId, index);
    const shape = node.isMap ? [batch, height, width, channels] : [batch, channels];
    return tfjsEngine().makeTensorFromDataId(dataId, shape, 'float32', this);
  }

  readonly #runOfInput = new WeakMap<DataId, PendingRun>();

  #findRun(model: EngineModel, input: Tensor, batch: number): PendingRun {
    const found = this.#runOfInput.get(input.dataId);
    const runs = this.#pending.get(model) ?? new Set();
    if (found !== undefined && runs.has(found)) return found;
    // A copy: whoever made the tensor may write into its array again before the run.
    const run = { model, input: input.dataSync<'float32'>().slice(), batch, wanted: new Map() };
    this.#runOfInput.set(input.dataId, run);
    this.#pending.set(model, runs.add(run));
    return run;
  }

  /** Compute all that is still wanted of a run. */
  #finish(run: PendingRun): void {
    this.#forget(run);
    const outputs = run.model.run(run.input, run.batch, [...new Set(run.wanted.values())]);
    // Two tensors of one node get their own arrays: `dataSync` hands them out. (`slice` would set its memory to zero first.)
    const given = new Set<Float32Array>();
    for (const [dataId, index] of run.wanted) {
      const data = this.#data.get(dataId);
      const values = outputs.get(index);
      if (values === undefined) throw new Error(`internal: node ${index} was not computed`);
      data.values = given.has(values) ? new Float32Array(values) : values;
      data.run = undefined;
      given.add(values);
    }
  }

  #forget(run: PendingRun): void {
    this.#pending.get(run.model)?.delete(run);
  }

  #store(data: Partial<EdgeData>): DataId {
    const dataId = {};
    this.#data.set(dataId, {
      values: undefined,
      run: undefined,
      dtype: 'float32',
      references: 1,
      model: undefined,
      ...data,
    });
    return dataId;
  }

  override write(values: BackendValues | null, _shape: number[], dtype: DataType): DataId {
    return this.#store({ values: values ?? undefined, dtype, model: this.#claimModel(values) });
  }

  #claimModel(values: BackendValues | null): EngineModel | undefined {
    if (!(values instanceof Int32Array) || values.length !== 2 || values[0] !== MODEL_MARK) return undefined;
    const handle = values[1] ?? 0;
    const model = this.#unclaimed.get(handle);
    this.#unclaimed.delete(handle);
    return model;
  }

  override move(dataId: DataId, values: BackendValues, _shape: number[], dtype: DataType, references: number): void {
    this.#data.set(dataId, { values, run: undefined, dtype, references, model: this.#claimModel(values) });
  }

  override readSync(dataId: DataId): BackendValues {
    const data = this.#data.get(dataId);
    if (data.run !== undefined) this.#finish(data.run);
    if (data.values === undefined) throw new Error('internal: a tensor without values');
    return data.values;
  }

  override async read(dataId: DataId): Promise<BackendValues> {
    return this.readSync(dataId);
  }

  override disposeData(dataId: DataId, isForced = false): boolean {
    if (!this.#data.has(dataId)) return true;
    const data = this.#data.get(dataId);
    data.references -= 1;
    if (!isForced && data.references > 0) return false;
    if (data.run !== undefined) {
      data.run.wanted.delete(dataId);
      if (data.run.wanted.size === 0) this.#forget(data.run);
    }
    if (data.model !== undefined) this.#freeModel(data.model);
    this.#data.delete(dataId);
    return true;
  }

  /** What was handed out before and not read yet is computed now. */
  #freeModel(model: EngineModel): void {
    for (const run of [...(this.#pending.get(model) ?? [])]) this.#finish(run);
    this.#pending.delete(model);
    model.free();
  }

  override incRef(dataId: DataId): void {
    this.#data.get(dataId).references += 1;
  }

  override refCount(dataId: DataId): number {
    return this.#data.has(dataId) ? this.#data.get(dataId).references : 0;
  }

  override numDataIds(): number {
    return this.#data.numDataIds();
  }

  override floatPrecision(): 32 {
    return 32;
  }

  override timerAvailable(): boolean {
    return false;
  }

  override memory(): EdgeMemory {
    return { unreliable: false, ...this.engine.memory };
  }

  override dispose(): void {
    for (const model of this.#unclaimed.values()) model.free();
    this.#unclaimed.clear();
  }
}

/** Half of the tensor that stands for a model; the other half is its number. */
const MODEL_MARK = 0x65646765;

/**
 * Make `edge` the current backend, computing with a build of the kernels (`chooseVariant`). There is one per process;
 * a second start takes the place of the first, whose models must be gone by then.
 */
export async function startEdgeBackend(module: WebAssembly.Module): Promise<EdgeBackend> {
  const backend = new EdgeBackend(module);
  if (findBackend(EDGE_BACKEND) === null) registerEdgeKernels(EDGE_BACKEND);
  else removeBackend(EDGE_BACKEND);
  registerBackend(EDGE_BACKEND, () => backend);
  registerOp(TAP_OP, ({ inputs: [picture, handle], attrs }) => {
    if (picture === undefined || handle === undefined) throw new Error('internal: a tap has two inputs');
    return backend.tapModel(backend.modelOf(handle), picture, Number(attrs['index']));
  });
  if (!(await setBackend(EDGE_BACKEND))) throw new Error(`internal: the backend ${EDGE_BACKEND} did not start`);
  return backend;
}
