/**
 * The network of a layer table, computed in an engine: forward for inference, forward and backward for training.
 *
 * One rule per kind of layer says how to compute it and how a gradient passes it. A kind without a rule is refused by
 * name before anything is computed. This file owns the lifetime of every feature map: each is given back as soon as no
 * later rule needs it.
 */
import { ProductError } from '../shared/errors.ts';
import { INPUT_LAYER, LOGITS_LAYER } from '../shared/resnet.ts';
import type { LayerKind, LayerRow, LayerTable } from '../shared/resnet.ts';
import type { BatchNormStatistics, Engine, EngineTensor } from './engine/engine.ts';

/** Parameters and moving statistics by the names of the layer table. */
export type TensorsByName = ReadonlyMap<string, EngineTensor>;

/** What a rule sees of the layer it computes. */
interface LayerContext<Kind extends LayerKind = LayerKind> {
  engine: Engine;
  row: LayerRow<Kind>;
  parameter: (role: 'weight' | 'bias' | 'running_mean' | 'running_var') => EngineTensor;
}

interface ForwardResult {
  /** May be one of the inputs itself. */
  output: EngineTensor;
  /** Kept for the backward rule, which gives it back. */
  saved?: readonly EngineTensor[];
  statistics?: BatchNormStatistics;
}

interface BackwardRequest {
  /** Gradient by the output. */
  dy: EngineTensor;
  inputs: readonly EngineTensor[];
  output: EngineTensor;
  saved: readonly EngineTensor[];
  /** Whether anything before this layer is trained. */
  needsInputGradient: boolean;
}

interface BackwardResult {
  /** One per input; may be `dy` itself; empty when no input gradient was needed. */
  inputs: readonly EngineTensor[];
  /** By suffix: `weight`, `bias`. */
  parameters?: Readonly<Record<string, EngineTensor>>;
}

interface LayerRule<Kind extends LayerKind> {
  infer(context: LayerContext<Kind>, inputs: readonly EngineTensor[]): EngineTensor;
  /** Without it, training computes what inference does. */
  train?(context: LayerContext<Kind>, inputs: readonly EngineTensor[]): ForwardResult;
  /** Missing where nothing is trained through the layer. */
  backward?(context: LayerContext<Kind>, request: BackwardRequest): BackwardResult;
}

const RULES: { [Kind in LayerKind]?: LayerRule<Kind> } = {
  conv2d: {
    infer({ engine, row, parameter }, inputs) {
      const output = engine.conv2d(only(inputs), parameter('weight'), row.geometry);
      if (!row.hasBias) return output;
      const biased = engine.addBias(output, parameter('bias'));
      engine.dispose(output);
      return biased;
    },
    backward({ engine, row, parameter }, { dy, inputs, needsInputGradient }) {
      const x = only(inputs);
      const kernel = parameter('weight');
      const parameters: Record<string, EngineTensor> = {
        weight: engine.conv2dKernelGradient(x, dy, kernel.shape, row.geometry),
      };
      if (row.hasBias) parameters['bias'] = engine.biasGradient(dy);
      if (!needsInputGradient) return { inputs: [], parameters };
      return { inputs: [engine.conv2dInputGradient(dy, kernel, x.shape, row.geometry)], parameters };
    },
  },
  batchNorm: {
    infer({ engine, row, parameter }, inputs) {
      const parameters = {
        gamma: parameter('weight'),
        beta: parameter('bias'),
        mean: parameter('running_mean'),
        variance: parameter('running_var'),
      };
      return engine.batchNormInference(only(inputs), parameters, row.epsilon);
    },
    train({ engine, row, parameter }, inputs) {
      const parameters = { gamma: parameter('weight'), beta: parameter('bias') };
      const { y, statistics, saved } = engine.batchNormTraining(only(inputs), parameters, row.epsilon);
      return { output: y, statistics, saved };
    },
    backward({ engine, row, parameter }, { dy, inputs, saved }) {
      const gradient = engine.batchNormGradient(dy, only(inputs), parameter('weight'), saved, row.epsilon);
      return { inputs: [gradient.dx], parameters: { weight: gradient.dgamma, bias: gradient.dbeta } };
    },
  },
  relu: {
    infer: ({ engine }, inputs) => engine.relu(only(inputs)),
    backward: ({ engine }, { dy, output }) => ({ inputs: [engine.reluGradient(dy, output)] }),
  },
  maxPool: {
    infer: ({ engine, row }, inputs) => engine.maxPool(only(inputs), row.geometry),
    backward: ({ engine, row }, { dy, inputs, output }) => ({
      inputs: [engine.maxPoolGradient(dy, only(inputs), output, row.geometry)],
    }),
  },
  identity: {
    infer: (_, inputs) => only(inputs),
    backward: (_, { dy }) => ({ inputs: [dy] }),
  },
  padChannels: {
    infer: ({ engine, row }, inputs) => engine.padChannels(only(inputs), row),
    backward: ({ engine, row }, { dy, inputs }) => ({
      inputs: [engine.padChannelsGradient(dy, only(inputs).shape, row)],
    }),
  },
  add: {
    infer({ engine }, [first, second]) {
      if (first === undefined || second === undefined) throw new Error('internal: an addition needs two inputs');
      return engine.add(first, second);
    },
    backward: (_, { dy }) => ({ inputs: [dy, dy] }),
  },
  globalAveragePool: {
    infer: ({ engine }, inputs) => engine.globalAveragePool(only(inputs)),
    backward: ({ engine }, { dy, inputs }) => ({
      inputs: [engine.globalAveragePoolGradient(dy, only(inputs).shape)],
    }),
  },
  linear: {
    infer({ engine, parameter }, inputs) {
      const product = engine.matMul(only(inputs), parameter('weight'));
      const output = engine.addBias(product, parameter('bias'));
      engine.dispose(product);
      return output;
    },
    backward: ({ engine, parameter }, { dy, inputs }) => ({
      inputs: [engine.matMul(dy, parameter('weight'), { isSecondTransposed: true })],
      parameters: {
        weight: engine.matMul(only(inputs), dy, { isFirstTransposed: true }),
        bias: engine.biasGradient(dy),
      },
    }),
  },
  softmax: { infer: ({ engine }, inputs) => engine.softmax(only(inputs)) },
};

function only(inputs: readonly EngineTensor[]): EngineTensor {
  const [input] = inputs;
  if (input === undefined || inputs.length !== 1) throw new Error(`internal: one input expected, got ${inputs.length}`);
  return input;
}

/** The rule of a row. The cast is the link between a row's kind and its rule, which TypeScript cannot follow. */
function ruleOf(row: LayerRow): LayerRule<LayerKind> {
  const rule = RULES[row.kind];
  if (rule !== undefined) return rule as unknown as LayerRule<LayerKind>;
  throw new ProductError(
    'architecture/unsupported',
    `layer "${row.name}" is a "${row.kind}", which the trainer cannot compute yet; it can compute ${Object.keys(RULES).join(', ')}`,
  );
}

/** Refuse a network that the trainer cannot compute. Errors: `architecture/unsupported`. */
export function assertTrainable(table: LayerTable): void {
  for (const row of table) if (row.kind !== 'input') ruleOf(row);
}

/** Counts the holders of each tensor and gives it back with the last one. */
class TensorHolds {
  readonly #engine: Engine;
  readonly #counts = new Map<EngineTensor, number>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  hold(tensor: EngineTensor): EngineTensor {
    this.#counts.set(tensor, (this.#counts.get(tensor) ?? 0) + 1);
    return tensor;
  }

  release(tensor: EngineTensor): void {
    const count = this.#counts.get(tensor);
    if (count === undefined) throw new Error('internal: a tensor was released more often than held');
    if (count > 1) {
      this.#counts.set(tensor, count - 1);
    } else {
      this.#counts.delete(tensor);
      this.#engine.dispose(tensor);
    }
  }

  releaseAll(): void {
    for (const tensor of this.#counts.keys()) this.#engine.dispose(tensor);
    this.#counts.clear();
  }
}

/** The values of the rows during one pass. A value that a later row passes on unchanged has several holders. */
class Pass {
  readonly engine: Engine;
  readonly holds: TensorHolds;
  readonly #table: LayerTable;
  readonly #parameters: TensorsByName;
  readonly #images: EngineTensor;
  readonly #values = new Map<string, EngineTensor>();

  constructor(engine: Engine, table: LayerTable, parameters: TensorsByName, images: EngineTensor) {
    this.engine = engine;
    this.holds = new TensorHolds(engine);
    this.#table = table;
    this.#parameters = parameters;
    this.#images = images;
    this.#values.set(INPUT_LAYER, images);
  }

  get layers(): readonly LayerRow[] {
    return this.#table.filter((row) => row.kind !== 'input');
  }

  context(row: LayerRow): LayerContext {
    const parameter: LayerContext['parameter'] = (role) => {
      const tensor = this.#parameters.get(`${row.name}.${role}`);
      if (tensor === undefined) throw new Error(`internal: there is no tensor "${row.name}.${role}"`);
      return tensor;
    };
    return { engine: this.engine, row, parameter };
  }

  valueOf(name: string): EngineTensor {
    const value = this.#values.get(name);
    if (value === undefined) throw new Error(`internal: the value of "${name}" is not at hand`);
    return value;
  }

  inputsOf(row: LayerRow): EngineTensor[] {
    return row.inputs.map((name) => this.valueOf(name));
  }

  keep(name: string, value: EngineTensor): void {
    this.#values.set(name, value);
    // The images belong to the caller.
    if (value !== this.#images) this.holds.hold(value);
  }

  forgetAll(): void {
    for (const name of this.#values.keys()) this.forget(name);
  }

  forget(name: string): void {
    const value = this.valueOf(name);
    this.#values.delete(name);
    if (value !== this.#images) this.holds.release(value);
  }
}

/**
 * Inference with moving statistics.
 *
 * Shapes   images [batch, height, width, channels] -> one tensor [batch, ...row.shape] for each name in `taps`, which are
 *          rows after the input; nothing behind the last of them is computed
 * Memory   the caller owns the returned tensors; `images` and `parameters` are only read. Two taps may be one tensor
 *          under two names (`layer1` and its last block): dispose each distinct tensor once
 */
export function runInference(
  engine: Engine,
  table: LayerTable,
  parameters: TensorsByName,
  images: EngineTensor,
  taps: readonly string[] = [LOGITS_LAYER],
): Map<string, EngineTensor> {
  const pass = new Pass(engine, table, parameters, images);
  return walkForward(pass, table, taps, (row) => ruleOf(row).infer(pass.context(row), pass.inputsOf(row)));
}

/** Forward up to the last of `taps`; what no later row needs is given back on the way. */
function walkForward(
  pass: Pass,
  table: LayerTable,
  taps: readonly string[],
  compute: (row: LayerRow) => EngineTensor,
): Map<string, EngineTensor> {
  const remaining = new Map<string, number>();
  for (const name of table.flatMap((row) => row.inputs)) remaining.set(name, (remaining.get(name) ?? 0) + 1);
  const lastNeeded = Math.max(...taps.map((tap) => pass.layers.findIndex((row) => row.name === tap)));
  try {
    const tapped = new Map<string, EngineTensor>();
    for (const row of pass.layers.slice(0, lastNeeded + 1)) {
      pass.keep(row.name, compute(row));
      if (taps.includes(row.name)) tapped.set(row.name, pass.holds.hold(pass.valueOf(row.name)));
      for (const name of row.inputs) {
        const left = (remaining.get(name) ?? 0) - 1;
        remaining.set(name, left);
        if (left === 0) pass.forget(name);
      }
    }
    pass.forgetAll();
    return tapped;
  } catch (error) {
    pass.holds.releaseAll();
    throw error;
  }
}

/**
 * The statistics of one batch at every batch norm, each computed behind those before it, as in training.
 *
 * Shapes   images [batch, height, width, channels] -> mean and unbiased variance [channels] under the name of the row
 * Memory   the caller owns the returned tensors; `images` and `parameters` are only read
 */
export function measureStatistics(
  engine: Engine,
  table: LayerTable,
  parameters: TensorsByName,
  images: EngineTensor,
): Map<string, BatchNormStatistics> {
  const measured = new Map<string, BatchNormStatistics>();
  const last = table.findLast((row) => row.kind === 'batchNorm');
  if (last === undefined) return measured;
  const pass = new Pass(engine, table, parameters, images);
  const tapped = walkForward(pass, table, [last.name], (row) => {
    const rule = ruleOf(row);
    const [context, inputs] = [pass.context(row), pass.inputsOf(row)];
    const result: ForwardResult = rule.train?.(context, inputs) ?? { output: rule.infer(context, inputs) };
    for (const tensor of result.saved ?? []) engine.dispose(tensor);
    if (result.statistics !== undefined) measured.set(row.name, result.statistics);
    return result.output;
  });
  for (const tensor of tapped.values()) engine.dispose(tensor);
  return measured;
}

export interface TrainingPassResult {
  /** [batch, classes] */
  logits: EngineTensor;
  /** Of each image, [batch], in nats. */
  losses: EngineTensor;
  /** Of the mean over the batch of each loss times its weight, by each trained tensor, under its name. */
  gradients: Map<string, EngineTensor>;
  /** Of this batch, under the name of the batch norm row. */
  statistics: Map<string, BatchNormStatistics>;
}

/**
 * Forward and backward once with the statistics of the batch; changes no parameter.
 *
 * Shapes   images [batch, height, width, channels], targets [batch, classes] (probabilities, smoothed or not), weights
 *          [batch, classes] (of each image, repeated; absent: 1)
 * Memory   the caller owns everything that is returned
 */
export function runTrainingPass(
  engine: Engine,
  table: LayerTable,
  parameters: TensorsByName,
  images: EngineTensor,
  targets: EngineTensor,
  weights?: EngineTensor,
): TrainingPassResult {
  const pass = new Pass(engine, table, parameters, images);
  const saved = new Map<string, readonly EngineTensor[]>();
  const statistics = new Map<string, BatchNormStatistics>();
  // The loss is computed from logits; probabilities are not needed to train.
  const layers = pass.layers.filter((row) => row.kind !== 'softmax');

  for (const row of layers) {
    const rule = ruleOf(row);
    const context = pass.context(row);
    const inputs = pass.inputsOf(row);
    const result = rule.train?.(context, inputs) ?? { output: rule.infer(context, inputs) };
    pass.keep(row.name, result.output);
    saved.set(row.name, result.saved ?? []);
    if (result.statistics !== undefined) statistics.set(row.name, result.statistics);
  }

  const logits = pass.holds.hold(pass.valueOf(LOGITS_LAYER));
  const { losses, dLogits } = engine.softmaxCrossEntropy(logits, targets);
  const gradients = backpropagate(pass, layers, saved, weigh(engine, dLogits, weights));
  pass.forgetAll();
  return { logits, losses, gradients, statistics };
}

/** Takes the gradient [batch, classes] over. */
function weigh(engine: Engine, gradient: EngineTensor, weights: EngineTensor | undefined): EngineTensor {
  if (weights === undefined) return gradient;
  const weighted = engine.multiply(gradient, weights);
  engine.dispose(gradient);
  return weighted;
}

function backpropagate(
  pass: Pass,
  layers: readonly LayerRow[],
  saved: ReadonlyMap<string, readonly EngineTensor[]>,
  dLogits: EngineTensor,
): Map<string, EngineTensor> {
  const { engine, holds } = pass;
  const gradients = new Map<string, EngineTensor>();
  const waiting = new Map<string, EngineTensor>([[LOGITS_LAYER, holds.hold(dLogits)]]);

  const passOn = (name: string, gradient: EngineTensor): void => {
    const before = waiting.get(name);
    if (before === undefined) {
      waiting.set(name, gradient);
      return;
    }
    waiting.set(name, holds.hold(engine.add(before, gradient)));
    holds.release(before);
    holds.release(gradient);
  };

  for (const row of layers.toReversed()) {
    const dy = waiting.get(row.name);
    const rule = ruleOf(row);
    if (dy === undefined || rule.backward === undefined) throw new Error(`internal: no gradient reaches "${row.name}"`);
    const kept = saved.get(row.name) ?? [];
    const needsInputGradient = row.inputs.some((name) => name !== INPUT_LAYER);
    const request = { dy, inputs: pass.inputsOf(row), output: pass.valueOf(row.name), saved: kept, needsInputGradient };
    const result = rule.backward(pass.context(row), request);
    for (const gradient of result.inputs) holds.hold(gradient);
    result.inputs.forEach((gradient, index) => {
      const name = row.inputs[index];
      if (name !== undefined && name !== INPUT_LAYER) passOn(name, gradient);
      else holds.release(gradient);
    });
    for (const [suffix, gradient] of Object.entries(result.parameters ?? {})) {
      gradients.set(`${row.name}.${suffix}`, gradient);
    }
    for (const tensor of kept) engine.dispose(tensor);
    waiting.delete(row.name);
    holds.release(dy);
    pass.forget(row.name);
  }
  return gradients;
}
