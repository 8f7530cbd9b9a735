/**
 * Everything that one update changes: parameters, moving statistics and optimizer state, held in the engine.
 *
 * `step` is the update itself. Order of images, schedule and files are the loop's business.
 */
import { argMax } from '../shared/classification.ts';
import { ProductError } from '../shared/errors.ts';
import { listParameters, sizeOf } from '../shared/resnet.ts';
import type { LayerTable, Parameter } from '../shared/resnet.ts';
import type { Batch } from './batches.ts';
import type { CheckpointTensor } from './checkpoint.ts';
import type { Engine, EngineTensor } from './engine/engine.ts';
import { measureStatistics, runTrainingPass } from './network.ts';
import type { TensorsByName, TrainingPassResult } from './network.ts';
import { listSlots, updateVariable } from './optimizer.ts';
import type { OptimizerConfig, SlotName } from './optimizer.ts';
import { WeightAverage } from './weight-average.ts';
import type { WeightAverageConfig } from './weight-average.ts';

type TensorGroup = ReadonlyMap<string, CheckpointTensor>;

/**
 * The parameters, the optimizer's slots and the averaged parameters, each by the name of the variable. Without any slot,
 * all start at zero; without averages, they start at the parameters. `imageLosses` goes with them in checkpoints and
 * belongs to `easy-images.ts`.
 */
export type TensorGroups = { parameters: TensorGroup } & Readonly<
  Partial<Record<SlotName | 'average' | 'imageLosses', TensorGroup>>
>;

/** What an update does besides following the gradient. */
export interface UpdateRules {
  optimizer: OptimizerConfig;
  weightAverage: WeightAverageConfig | null;
}

export interface StepOptions {
  /** Updates done before this one. */
  step: number;
  learningRate: number;
  labelSmoothing: number;
}

export interface StepResult {
  /** Weighted mean over the batch, in nats. */
  loss: number;
  /** Sum of the weights of the images that were right: their number, where all count the same. */
  correct: number;
  /** Sum of the weights of the batch: `count`, where all count the same. */
  weight: number;
  /** [count], of each image, without its weight */
  losses: Float32Array;
}

export class TrainingState {
  readonly #engine: Engine;
  readonly #table: LayerTable;
  readonly #parameters = new Map<string, EngineTensor>();
  readonly #optimizer: OptimizerConfig;
  readonly #slots: ReadonlyMap<SlotName, Map<string, EngineTensor>>;
  readonly #average: WeightAverage | undefined;

  /** `groups` are those of {@link snapshot}. Errors: `checkpoint/mismatch` when one lacks a tensor. */
  constructor(engine: Engine, table: LayerTable, groups: TensorGroups, { optimizer, weightAverage }: UpdateRules) {
    this.#engine = engine;
    this.#table = table;
    this.#optimizer = optimizer;
    const names = listSlots(optimizer);
    const isFresh = names.every((slot) => groups[slot] === undefined);
    this.#slots = new Map(names.map((slot) => [slot, new Map()]));
    for (const each of listParameters(table)) {
      this.#parameters.set(each.name, upload(engine, each, groups.parameters.get(each.name)));
      if (!each.isTrainable) continue;
      const zeros = { shape: each.shape, values: new Float32Array(sizeOf(each.shape)) };
      for (const [slot, tensors] of this.#slots) {
        tensors.set(each.name, upload(engine, each, isFresh ? zeros : groups[slot]?.get(each.name)));
      }
    }
    this.#average =
      weightAverage === null
        ? undefined
        : new WeightAverage(engine, weightAverage, groups.average ?? trainedTensors(table, groups.parameters));
  }

  /** Owned by the state; valid until the next step. */
  get parameters(): TensorsByName {
    return this.#parameters;
  }

  /** One update on a batch: images [count, height, width, channels], labels [count]. */
  async step(batch: Batch, options: StepOptions): Promise<StepResult> {
    const engine = this.#engine;
    const classes = this.#table.at(-1)?.shape[0] ?? 0;
    const images = engine.upload(batch.images, [batch.count, ...batch.imageShape]);
    const targets = engine.upload(smoothTargets(batch.labels, classes, options.labelSmoothing), [batch.count, classes]);
    const weights =
      batch.weights === undefined
        ? undefined
        : engine.upload(repeatForClasses(batch.weights, classes), [batch.count, classes]);
    const pass = runTrainingPass(engine, this.#table, this.#parameters, images, targets, weights);
    this.#applyGradients(pass, options);
    this.#followStatistics(pass);
    this.#average?.follow(this.#parameters, options.step);

    const losses = await engine.download(pass.losses);
    const logits = await engine.download(pass.logits);
    for (const tensor of [images, targets, pass.losses, pass.logits]) engine.dispose(tensor);
    if (weights !== undefined) engine.dispose(weights);
    const weightOf = (index: number): number => batch.weights?.[index] ?? 1;
    const isRight = (label: number, index: number): boolean =>
      argMax(logits.subarray(index * classes, (index + 1) * classes)) === label;
    const weight = batch.weights?.reduce((sum, each) => sum + each, 0) ?? batch.count;
    return {
      loss: losses.reduce((sum, loss, index) => sum + weightOf(index) * loss, 0) / weight,
      weight,
      correct: batch.labels.reduce((sum, label, index) => sum + (isRight(label, index) ? weightOf(index) : 0), 0),
      losses,
    };
  }

  #applyGradients({ gradients }: TrainingPassResult, { step, learningRate }: StepOptions): void {
    for (const { name, role, isTrainable } of listParameters(this.#table)) {
      if (!isTrainable) continue;
      const gradient = held(gradients, name);
      const value = held(this.#parameters, name);
      const slots = new Map([...this.#slots].map(([slot, tensors]) => [slot, held(tensors, name)]));
      const update = { role, value, gradient, slots, learningRate, step };
      const next = updateVariable(this.#engine, this.#optimizer, update);
      this.#parameters.set(name, next.value);
      for (const [slot, tensor] of next.slots) this.#slots.get(slot)?.set(name, tensor);
      for (const old of [gradient, value, ...slots.values()]) this.#engine.dispose(old);
    }
  }

  /** moving = momentum * moving + (1 - momentum) * batch */
  #followStatistics({ statistics }: TrainingPassResult): void {
    for (const row of this.#table) {
      if (row.kind !== 'batchNorm') continue;
      const batch = statistics.get(row.name);
      if (batch === undefined) throw new Error(`internal: no statistics of "${row.name}"`);
      const follow = (name: string, latest: EngineTensor): void => {
        const moving = held(this.#parameters, name);
        this.#parameters.set(name, this.#engine.combine(row.momentum, moving, 1 - row.momentum, latest));
        this.#engine.dispose(moving);
        this.#engine.dispose(latest);
      };
      follow(`${row.name}.running_mean`, batch.mean);
      follow(`${row.name}.running_var`, batch.variance);
    }
  }

  /** A copy of everything, for a checkpoint. */
  async snapshot(): Promise<Map<keyof TensorGroups, Map<string, CheckpointTensor>>> {
    const copy = async (tensors: ReadonlyMap<string, EngineTensor>): Promise<Map<string, CheckpointTensor>> => {
      const copies = new Map<string, CheckpointTensor>();
      for (const [name, tensor] of tensors) {
        copies.set(name, { shape: tensor.shape, values: await this.#engine.download(tensor) });
      }
      return copies;
    };
    const groups = new Map<keyof TensorGroups, Map<string, CheckpointTensor>>();
    groups.set('parameters', await copy(this.#parameters));
    for (const [slot, tensors] of this.#slots) groups.set(slot, await copy(tensors));
    if (this.#average !== undefined) groups.set('average', await copy(this.#average.values));
    return groups;
  }

  /**
   * Make the averages the parameters, with the statistics that these batches have behind them: their mean, and their
   * variance within and between the batches. The end of a run; without a `weightAverage` nothing happens.
   *
   * Source   Wu and Johnson 2021, arXiv:2105.07576, section 3
   */
  async adoptAverage(batches: Iterable<Batch>): Promise<void> {
    if (this.#average === undefined) return;
    for (const [name, average] of this.#average.values)
      this.#replace(name, this.#engine.combine(1, average, 0, average));
    const sums = new Map<string, { mean: Float64Array; square: Float64Array }>();
    let count = 0;
    for (const batch of batches) {
      const images = this.#engine.upload(batch.images, [batch.count, ...batch.imageShape]);
      const measured = measureStatistics(this.#engine, this.#table, this.#parameters, images);
      this.#engine.dispose(images);
      for (const [name, { mean, variance }] of measured) {
        const [means, variances] = [await this.#engine.download(mean), await this.#engine.download(variance)];
        for (const tensor of [mean, variance]) this.#engine.dispose(tensor);
        const sum = sums.get(name) ?? { mean: new Float64Array(means.length), square: new Float64Array(means.length) };
        sums.set(name, sum);
        means.forEach((value, channel) => {
          sum.mean[channel] = (sum.mean[channel] ?? 0) + value;
          sum.square[channel] = (sum.square[channel] ?? 0) + value * value + (variances[channel] ?? 0);
        });
      }
      count += 1;
    }
    for (const [name, { mean, square }] of sums) {
      const means = Float32Array.from(mean, (sum) => sum / count);
      const variances = Float32Array.from(square, (sum, channel) => sum / count - ((mean[channel] ?? 0) / count) ** 2);
      this.#replace(`${name}.running_mean`, this.#engine.upload(means, [means.length]));
      this.#replace(`${name}.running_var`, this.#engine.upload(variances, [variances.length]));
    }
  }

  #replace(name: string, tensor: EngineTensor): void {
    this.#engine.dispose(held(this.#parameters, name));
    this.#parameters.set(name, tensor);
  }

  dispose(): void {
    for (const tensors of [this.#parameters, ...this.#slots.values()]) {
      for (const tensor of tensors.values()) this.#engine.dispose(tensor);
      tensors.clear();
    }
    this.#average?.dispose();
  }
}

function trainedTensors(table: LayerTable, group: TensorGroup): TensorGroup {
  const names = listParameters(table).filter(({ isTrainable }) => isTrainable);
  return new Map([...group].filter(([name]) => names.some((each) => each.name === name)));
}

/** Upload the parameters of a table for inference. Errors: `checkpoint/mismatch`. */
export function uploadParameters(engine: Engine, table: LayerTable, group: TensorGroup): Map<string, EngineTensor> {
  return new Map(listParameters(table).map((each) => [each.name, upload(engine, each, group.get(each.name))]));
}

function upload(engine: Engine, { name, shape }: Parameter, tensor: CheckpointTensor | undefined): EngineTensor {
  if (tensor === undefined || tensor.shape.join() !== shape.join()) {
    const found = tensor === undefined ? 'has no tensor' : `has shape [${tensor.shape.join(', ')}] for`;
    throw new ProductError(
      'checkpoint/mismatch',
      `the checkpoint ${found} "${name}"; [${shape.join(', ')}] is expected; use the configuration it was made with`,
    );
  }
  return engine.upload(Float32Array.from(tensor.values), shape);
}

function held(tensors: ReadonlyMap<string, EngineTensor>, name: string): EngineTensor {
  const tensor = tensors.get(name);
  if (tensor === undefined) throw new Error(`internal: there is no tensor "${name}"`);
  return tensor;
}

/** [count] -> [count, classes] */
function repeatForClasses(values: Float32Array, classes: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: values.length * classes }, (_, index) => values[Math.floor(index / classes)] ?? 0);
}

/** (1 - smoothing) * one-hot + smoothing / classes, as PyTorch's cross-entropy smooths; [count, classes] */
function smoothTargets(labels: Uint8Array, classes: number, smoothing: number): Float32Array<ArrayBuffer> {
  const targets = new Float32Array(labels.length * classes).fill(smoothing / classes);
  labels.forEach((label, index) => {
    targets[index * classes + label] = 1 - smoothing + smoothing / classes;
  });
  return targets;
}
