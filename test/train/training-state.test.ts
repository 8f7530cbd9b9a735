/** One update of everything, on every engine: two steps that PyTorch recorded, and learning itself. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { buildLayerTable, listParameters } from '../../shared/resnet.ts';
import type { Batch } from '../../train/batches.ts';
import { initializeParameters } from '../../train/initialize.ts';
import type { OptimizerConfig } from '../../train/optimizer.ts';
import { createRandom } from '../../train/random.ts';
import { createTfjsEngine } from '../../train/engine/tfjs-engine.ts';
import { TrainingState, uploadParameters } from '../../train/training-state.ts';
import type { StepOptions } from '../../train/training-state.ts';
import { describeOnEachEngine, drawExact, largestError, meanError } from '../support/engine-matrix.ts';
import { tinyArchitecture } from '../support/tiny-model.ts';

const tensorSchema = z
  .strictObject({ shape: z.array(z.int()), values: z.array(z.number()) })
  .transform(({ shape, values }) => ({ shape, values: Float32Array.from(values) }));
const tensorsSchema = z.record(z.string(), tensorSchema);
const stepSchema = z.strictObject({ learningRate: z.number(), loss: z.number(), logits: tensorSchema });
const recordSchema = z.strictObject({
  madeBy: z.string(),
  network: z.strictObject({
    stemChannels: z.int(),
    widths: z.array(z.int()),
    classes: z.int(),
    inputShape: z.tuple([z.int(), z.int(), z.int()]),
  }),
  momentum: z.number(),
  weightDecay: z.number(),
  labelSmoothing: z.number(),
  images: tensorSchema,
  labels: z.array(z.int()),
  initial: tensorsSchema,
  steps: z.tuple([stepSchema.extend({ gradients: tensorsSchema }), stepSchema]),
  final: z.strictObject({ parameters: tensorsSchema, velocity: tensorsSchema }),
});

const TINY = buildLayerTable(tinyArchitecture());
const STEP: StepOptions = { step: 0, learningRate: 0.1, labelSmoothing: 0 };
const SGD: OptimizerConfig = { kind: 'sgd', momentum: 0.9, nesterov: true, weightDecay: 0, decayed: 'kernels' };

function firstParameters(table = TINY) {
  const values = initializeParameters(table, createRandom(2), { lastGamma: 1 });
  return new Map(
    listParameters(table).map(({ name, shape }) => [name, { shape, values: values.get(name) ?? new Float32Array() }]),
  );
}

function drawBatch(count: number): Batch {
  const images = drawExact(createRandom(4), count * 8 * 8 * 3);
  return {
    images,
    imageShape: [8, 8, 3],
    labels: Uint8Array.from({ length: count }, (_, index) => (index * 2) % 3),
    count,
  };
}

describeOnEachEngine('the training state', ({ engine: getEngine, precision }) => {
  const isRounding = precision === 'bfloat16';

  it('does two steps as PyTorch does: losses, gradients, parameters, momentum and moving statistics', async () => {
    const path = new URL('../golden/pytorch-step.json', import.meta.url);
    const recorded = recordSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
    const table = buildLayerTable(tinyArchitecture(recorded.network));
    const initial = new Map(Object.entries(recorded.initial));
    const optimizer = { ...SGD, momentum: recorded.momentum, weightDecay: recorded.weightDecay };
    const state = new TrainingState(getEngine(), table, { parameters: initial }, { optimizer, weightAverage: null });
    const options = { step: 0, labelSmoothing: recorded.labelSmoothing };
    const batch = {
      images: recorded.images.values,
      imageShape: [8, 8, 3] as const,
      labels: Uint8Array.from(recorded.labels),
      count: recorded.labels.length,
    };

    const [first, second] = recorded.steps;
    const { loss, correct } = await state.step(batch, { ...options, learningRate: first.learningRate });
    expect(Math.abs(loss - first.loss)).toBeLessThan(isRounding ? 0.01 : 2e-6);
    expect(correct).toBe(countCorrect(first.logits.values, recorded.labels));
    // The velocity after the first step is the gradient, with the decay of kernels.
    const afterFirst = (await state.snapshot()).get('velocity') ?? new Map();
    const roles = new Map(listParameters(table).map(({ name, role }) => [name, role]));
    const gradients = Object.entries(first.gradients).map(([name, { shape, values }]) => {
      const decay = roles.get(name) === 'kernel' ? recorded.weightDecay : 0;
      const { values: weights = [] } = initial.get(name) ?? {};
      return [name, { shape, values: values.map((value, at) => value + decay * (weights[at] ?? 0)) }] as const;
    });
    expectAgreement(afterFirst, new Map(gradients), isRounding ? 0.35 : 0);

    const next = await state.step(batch, { ...options, learningRate: second.learningRate });
    expect(Math.abs(next.loss - second.loss)).toBeLessThan(isRounding ? 0.03 : 5e-6);
    const after = await state.snapshot();
    state.dispose();
    const [parameters = new Map(), velocity = new Map()] = [after.get('parameters'), after.get('velocity')];
    expectAgreement(parameters, new Map(Object.entries(recorded.final.parameters)), isRounding ? 0.03 : 0);
    expectAgreement(velocity, new Map(Object.entries(recorded.final.velocity)), isRounding ? 0.35 : 0);
  });

  it('starts with a loss near ln(classes) and learns one batch by heart', async () => {
    const state = new TrainingState(
      getEngine(),
      TINY,
      { parameters: firstParameters() },
      { optimizer: SGD, weightAverage: null },
    );
    const batch = drawBatch(6);
    const losses: number[] = [];
    let correct = 0;
    for (let step = 0; step < 60; step++) {
      const result = await state.step(batch, { ...STEP, learningRate: 0.05 });
      losses.push(result.loss);
      correct = result.correct;
    }
    state.dispose();
    // The logits of a new network are small, not zero.
    expect(Math.abs((losses[0] ?? 0) - Math.log(3))).toBeLessThan(0.4);
    expect(losses.at(-1)).toBeLessThan(0.02);
    expect(correct).toBe(6);
  });

  it('lets each image count as much as its weight', async () => {
    const engine = getEngine();
    const before = engine.countTensors();
    const measure = async (weights?: Float32Array<ArrayBuffer>) => {
      const rules = { optimizer: SGD, weightAverage: null };
      const state = new TrainingState(engine, TINY, { parameters: firstParameters() }, rules);
      const batch = { ...drawBatch(4), ...(weights && { weights }) };
      const result = await state.step(batch, STEP);
      const { values = new Float32Array() } = (await state.snapshot()).get('velocity')?.get('conv1.weight') ?? {};
      state.dispose();
      return { ...result, values };
    };
    const [plain, even, first, second] = [
      await measure(),
      await measure(Float32Array.of(1, 1, 1, 1)),
      await measure(Float32Array.of(2, 2, 0, 0)),
      await measure(Float32Array.of(0, 0, 2, 2)),
    ];
    expect(even).toEqual(plain);
    expect(engine.countTensors()).toBe(before);
    const losses = [...plain.losses];
    expect(plain.loss).toBeCloseTo(losses.reduce((sum, loss) => sum + loss, 0) / 4, 6);
    expect(first.loss).toBeCloseTo(((losses[0] ?? 0) + (losses[1] ?? 0)) / 2, 6);
    expect([...first.losses]).toEqual(losses);
    expect(first.correct + second.correct).toBe(2 * plain.correct);
    // The mean of a batch is one, whatever its weights add up to; the gradient is not.
    const heavy = await measure(Float32Array.of(4, 4, 0, 0));
    expect(heavy).toMatchObject({ loss: first.loss, weight: 8, correct: 2 * first.correct });
    expect(largestError(heavy.values, first.values)).toBeGreaterThan(0.3);
    // The gradient is linear in the weights: half of both makes the whole.
    const halves = first.values.map((value, index) => (value + (second.values[index] ?? 0)) / 2);
    expect(largestError(halves, plain.values)).toBeLessThan(isRounding ? 0.05 : 2e-5);
    expect(largestError(first.values, plain.values)).toBeGreaterThan(0.1);
  });

  it('keeps no tensor over 20 steps, and none at all once disposed', async () => {
    const engine = getEngine();
    const before = engine.countTensors();
    const state = new TrainingState(
      engine,
      TINY,
      { parameters: firstParameters() },
      { optimizer: SGD, weightAverage: null },
    );
    const held = engine.countTensors();
    const trained = listParameters(TINY).filter((each) => each.isTrainable).length;
    expect(held - before).toBe(listParameters(TINY).length + trained);
    for (let step = 0; step < 20; step++) await state.step(drawBatch(2), STEP);
    expect(engine.countTensors()).toBe(held);
    state.dispose();
    expect(engine.countTensors()).toBe(before);
  });
});

describe('TrainingState', () => {
  it('continues from a snapshot with the same bits', async () => {
    const engine = await createTfjsEngine('cpu');
    const original = new TrainingState(
      engine,
      TINY,
      { parameters: firstParameters() },
      { optimizer: SGD, weightAverage: null },
    );
    await original.step(drawBatch(3), STEP);
    const snapshot = await original.snapshot();
    const [parameters = new Map(), velocity = new Map()] = [snapshot.get('parameters'), snapshot.get('velocity')];
    const copy = new TrainingState(engine, TINY, { parameters, velocity }, { optimizer: SGD, weightAverage: null });
    expect(await copy.step(drawBatch(4), STEP)).toEqual(await original.step(drawBatch(4), STEP));
    expect(await copy.snapshot()).toEqual(await original.snapshot());
    // Not a view: the step after it has left the snapshot alone.
    expect(await copy.snapshot()).not.toEqual(snapshot);
    original.dispose();
    copy.dispose();
  });

  it('lets the moving statistics follow each batch by a tenth, with the unbiased variance', async () => {
    const engine = await createTfjsEngine('cpu');
    const parameters = firstParameters();
    const kernel = parameters.get('conv1.weight')?.values.fill(0);
    // The convolution passes on the middle pixel: channel 0 of the map is channel 0 of the picture.
    if (kernel !== undefined) kernel[4 * 3 * 4] = 1;
    const state = new TrainingState(engine, TINY, { parameters }, { optimizer: SGD, weightAverage: null });
    const batch = drawBatch(2);
    await state.step(batch, { ...STEP, learningRate: 0 });
    await state.step(batch, { ...STEP, learningRate: 0 });
    const moved = (await state.snapshot()).get('parameters');
    state.dispose();

    const values = batch.images.filter((_, index) => index % 3 === 0);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
    expect(moved?.get('bn1.running_mean')?.values[0]).toBeCloseTo(0.19 * mean, 6);
    expect(moved?.get('bn1.running_var')?.values[0]).toBeCloseTo(0.81 + 0.19 * variance, 5);
    // A channel without any signal: mean 0, variance 0.
    expect(moved?.get('bn1.running_mean')?.values[1]).toBe(0);
    expect(moved?.get('bn1.running_var')?.values[1]).toBeCloseTo(0.81, 6);
  });

  it('ends as its average, with the statistics that the given batches have behind the averaged weights', async () => {
    const engine = await createTfjsEngine('cpu');
    const weightAverage = { decay: 0.5, everySteps: 1, statisticsBatches: 2 };
    const before = engine.countTensors();
    const state = new TrainingState(engine, TINY, { parameters: firstParameters() }, { optimizer: SGD, weightAverage });
    await state.step(drawBatch(3), STEP);
    const first = await state.snapshot();
    await state.step(drawBatch(3), { ...STEP, step: 1 });
    const [second, held] = [await state.snapshot(), engine.countTensors()];

    // Two batches that differ by a shift of all values: it is in the variance between them.
    const near = drawBatch(2);
    const far = { ...near, images: near.images.map((value) => value + 3) };
    await state.adoptAverage([near, far]);
    const adopted = await state.snapshot();
    expect(engine.countTensors()).toBe(held);
    state.dispose();
    expect(engine.countTensors()).toBe(before);

    const initial = firstParameters().get('linear.bias')?.values[0] ?? Number.NaN;
    const bias = (snapshot: typeof adopted, group: 'parameters' | 'average') =>
      snapshot.get(group)?.get('linear.bias')?.values[0] ?? Number.NaN;
    // The early decays are 1/10 and 2/11, both below 0.5.
    const once = 0.1 * initial + 0.9 * bias(first, 'parameters');
    expect(bias(adopted, 'parameters')).toBeCloseTo((2 / 11) * once + (9 / 11) * bias(second, 'parameters'), 7);
    expect(adopted.get('average')).toEqual(second.get('average'));

    const kernel = adopted.get('parameters')?.get('conv1.weight');
    const maps = [near, far].map(({ images, count }) => {
      const x = engine.upload(images, [count, 8, 8, 3]);
      const weights = engine.upload(Float32Array.from(kernel?.values ?? []), kernel?.shape ?? []);
      return engine.download(engine.conv2d(x, weights, { size: 3, stride: 1, padding: 1 }));
    });
    const channels = kernel?.shape[3] ?? 1;
    const values = (await Promise.all(maps)).map((map) => [...map].filter((_, index) => index % channels === 0));
    const moments = values.map((map) => {
      const mean = map.reduce((sum, value) => sum + value, 0) / map.length;
      return { mean, variance: map.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (map.length - 1) };
    });
    const mean = moments.reduce((sum, each) => sum + each.mean, 0) / 2;
    const variance = moments.reduce((sum, each) => sum + each.variance + (each.mean - mean) ** 2, 0) / 2;
    expect(adopted.get('parameters')?.get('bn1.running_mean')?.values[0]).toBeCloseTo(mean, 5);
    expect(adopted.get('parameters')?.get('bn1.running_var')?.values[0]).toBeCloseTo(variance, 4);
  });

  it('smooths labels towards all classes', async () => {
    const engine = await createTfjsEngine('cpu');
    const parameters = firstParameters();
    parameters.get('linear.weight')?.values.fill(0);
    parameters.get('linear.bias')?.values.set([2, 0, -1]);
    const state = new TrainingState(engine, TINY, { parameters }, { optimizer: SGD, weightAverage: null });
    const batch = { ...drawBatch(1), labels: Uint8Array.of(1) };
    const { loss, correct } = await state.step(batch, { ...STEP, labelSmoothing: 0.3 });
    state.dispose();
    const logSum = Math.log(Math.exp(2) + 1 + Math.exp(-1));
    expect(loss).toBeCloseTo(logSum - (0.1 * 2 - 0.1), 5);
    expect(correct).toBe(0);
  });

  it('refuses a missing tensor or one of another shape, by name', async () => {
    const engine = await createTfjsEngine('cpu');
    const parameters = firstParameters();
    parameters.set('linear.bias', { shape: [4], values: new Float32Array(4) });
    expect(() => uploadParameters(engine, TINY, parameters)).toThrow(
      expect.objectContaining({
        code: 'checkpoint/mismatch',
        message: expect.stringContaining('shape [4] for "linear.bias"; [3] is expected'),
      }),
    );
    parameters.delete('linear.bias');
    expect(() => new TrainingState(engine, TINY, { parameters }, { optimizer: SGD, weightAverage: null })).toThrow(
      'has no tensor "linear.bias"',
    );
    // What is there of the optimizer's state must be complete: a gap would silently start at zero.
    expect(
      () =>
        new TrainingState(
          engine,
          TINY,
          { parameters: firstParameters(), velocity: new Map() },
          { optimizer: SGD, weightAverage: null },
        ),
    ).toThrow('has no tensor "conv1.weight"');
  });
});

interface Tensor {
  shape: readonly number[];
  values: Float32Array;
}

/**
 * float32 agrees to 2e-5 of each tensor's largest value. bfloat16 rounds every map, and ReLUs near zero change their
 * mind; gradients that nearly cancel out (the shift before the next batch norm) are then mostly noise. So there all
 * tensors together are one vector, and `rounding` is how far it may be off.
 */
function expectAgreement(
  found: ReadonlyMap<string, Tensor>,
  expected: ReadonlyMap<string, Tensor>,
  rounding: number,
): void {
  expect([...found.keys()].toSorted()).toEqual([...expected.keys()].toSorted());
  const gathered: number[][] = [[], []];
  for (const [name, { shape, values }] of expected) {
    const { shape: foundShape, values: foundValues = new Float32Array() } = found.get(name) ?? {};
    expect(foundShape, name).toEqual(shape);
    const limit = rounding === 0 ? 2e-5 : Number.POSITIVE_INFINITY;
    expect(largestError(foundValues, values), name).toBeLessThan(limit);
    gathered[0]?.push(...foundValues);
    gathered[1]?.push(...values);
  }
  const [all = [], allExpected = []] = gathered;
  expect(meanError(all, allExpected)).toBeLessThan(rounding === 0 ? 2e-6 : rounding);
}

function countCorrect(logits: Float32Array, labels: readonly number[]): number {
  const classes = logits.length / labels.length;
  return labels.filter((label, index) => {
    const scores = [...logits.subarray(index * classes, (index + 1) * classes)];
    return scores.indexOf(Math.max(...scores)) === label;
  }).length;
}
