/** Adam and AdamW on every engine: ten steps that PyTorch recorded, and a run that is interrupted. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { ParameterRole } from '../../shared/resnet.ts';
import { findLatestCheckpoint, readCheckpoint } from '../../train/checkpoint.ts';
import type { Engine, EngineTensor } from '../../train/engine/engine.ts';
import { createTfjsEngine } from '../../train/engine/tfjs-engine.ts';
import { trainAndEvaluate } from '../../train/loop.ts';
import { listSlots, optimizerSchema, updateVariable } from '../../train/optimizer.ts';
import type { AdamConfig, SlotName } from '../../train/optimizer.ts';
import { describeOnEachEngine } from '../support/engine-matrix.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';
import { createTinyDataset, RecordingStream, tinyConfig } from '../support/tiny-run.ts';

const numbers = z.array(z.number());
const stateSchema = z.strictObject({ value: numbers, firstMoment: numbers, secondMoment: numbers });
const bothSchema = z.strictObject({ kernel: numbers, gamma: numbers });
const recordSchema = z.strictObject({
  madeBy: z.string(),
  betas: z.tuple([z.number(), z.number()]),
  epsilon: z.number(),
  learningRates: numbers,
  initial: bothSchema,
  gradients: z.array(bothSchema),
  cases: z.record(
    z.string(),
    z.strictObject({
      weightDecay: z.number(),
      steps: z.array(z.strictObject({ kernel: stateSchema, gamma: stateSchema })),
    }),
  ),
});
const recorded = recordSchema.parse(
  JSON.parse(readFileSync(new URL('../golden/pytorch-optimizers.json', import.meta.url), 'utf8')),
);

/** Of each value: float32 rounds to 6e-8, and a sum that cancels loses up to two digits. */
const TOLERANCE = 1e-5;

const ADAM: AdamConfig = {
  kind: 'adam',
  beta1: recorded.betas[0],
  beta2: recorded.betas[1],
  epsilon: recorded.epsilon,
  weightDecay: 0,
  decayed: 'kernels',
};
const CASES: [string, AdamConfig][] = [
  ['adam', ADAM],
  ['adam with decay', { ...ADAM, weightDecay: 0.05 }],
  ['adamw', { ...ADAM, kind: 'adamw', weightDecay: 0.05 }],
];

/** The largest |actual - expected| as a share of the expected value itself, or of 1e-20 where that is zero. */
function relativeError(actual: ArrayLike<number>, expected: readonly number[]): number {
  expect(actual).toHaveLength(expected.length);
  return Math.max(
    ...expected.map((value, at) => Math.abs((actual[at] ?? Number.NaN) - value) / Math.max(Math.abs(value), 1e-20)),
  );
}

describeOnEachEngine('ten steps', ({ engine: getEngine }) => {
  it.each(CASES)('of %s equal those of PyTorch: values and both moments after each step', async (name, config) => {
    const engine = getEngine();
    const { steps, weightDecay } = recorded.cases[name] ?? { steps: [], weightDecay: Number.NaN };
    expect(steps).toHaveLength(10);
    expect(config.weightDecay).toBe(weightDecay);
    for (const role of ['kernel', 'gamma'] as const) {
      const put = (values: ArrayLike<number>): EngineTensor =>
        engine.upload(Float32Array.from(values), [values.length]);
      const initial = recorded.initial[role];
      const zeros = new Float32Array(initial.length);
      let variable = {
        value: put(initial),
        slots: new Map(listSlots(config).map((slot) => [slot, put(zeros)])) as ReadonlyMap<SlotName, EngineTensor>,
      };
      for (const [step, expected] of steps.entries()) {
        const gradient = put(recorded.gradients[step]?.[role] ?? []);
        const learningRate = recorded.learningRates[step] ?? Number.NaN;
        const next = updateVariable(engine, config, { role, gradient, learningRate, step, ...variable });
        for (const tensor of [gradient, variable.value, ...variable.slots.values()]) engine.dispose(tensor);
        variable = next;
        expect(relativeError(await engine.download(next.value), expected[role].value)).toBeLessThan(TOLERANCE);
        for (const [slot, tensor] of next.slots) {
          if (slot === 'velocity') throw new Error('Adam has no velocity');
          expect(relativeError(await engine.download(tensor), expected[role][slot])).toBeLessThan(TOLERANCE);
        }
      }
      for (const tensor of [variable.value, ...variable.slots.values()]) engine.dispose(tensor);
    }
  });

  it('end with the same bits in a run that is stopped twice and resumed', async () => {
    const config = tinyConfig({
      optimizer: { ...ADAM, kind: 'adamw', beta2: 0.999, weightDecay: 0.1 },
      schedule: { kind: 'constant', peak: 0.01 },
    });
    const request = async () => ({
      config,
      dataset: createTinyDataset(),
      engine: getEngine(),
      runFolder: join(await makeTemporaryFolder(), 'run'),
      stream: new RecordingStream(),
    });
    const whole = await request();
    await trainAndEvaluate({ ...whole, isResumed: false });
    const parts = await request();
    await trainAndEvaluate({ ...parts, isResumed: false, maxSteps: 3 });
    await trainAndEvaluate({ ...parts, isResumed: true, maxSteps: 6 });
    await trainAndEvaluate({ ...parts, isResumed: true });

    const [expected, actual] = await Promise.all(
      [whole, parts].map(async ({ runFolder }) => readCheckpoint((await findLatestCheckpoint(runFolder)) ?? '')),
    );
    expect(expected?.header.step).toBe(8);
    expect([...(expected?.groups.keys() ?? [])]).toEqual(['parameters', 'firstMoment', 'secondMoment', 'average']);
    expect(actual?.groups).toEqual(expected?.groups);
  });
});

describe('Adam and AdamW', () => {
  async function stepOnce(engine: Engine, config: AdamConfig, role: ParameterRole): Promise<number> {
    const put = (value: number): EngineTensor => engine.upload(Float32Array.of(value), [1]);
    const slots = new Map(listSlots(config).map((slot) => [slot, put(0)]));
    const update = { role, value: put(2), gradient: put(-0.5), slots, learningRate: 0.1, step: 0 };
    const next = updateVariable(engine, config, update);
    const [value = Number.NaN] = await engine.download(next.value);
    for (const tensor of [update.value, update.gradient, next.value, ...slots.values(), ...next.slots.values()]) {
      engine.dispose(tensor);
    }
    expect(engine.countTensors()).toBe(0);
    return value;
  }

  it('move by the rate in the first step whatever the size of the gradient, and differ in what decay does', async () => {
    const engine = await createTfjsEngine('cpu');
    const decayed = { weightDecay: 0.5, decayed: 'kernels' } as const;
    expect(await stepOnce(engine, ADAM, 'kernel')).toBeCloseTo(2.1, 6);
    // Coupled: the gradient is -0.5 + 0.5 * 2 = 0.5, so the step goes the other way.
    expect(await stepOnce(engine, { ...ADAM, ...decayed }, 'kernel')).toBeCloseTo(1.9, 6);
    // Decoupled: 2 * (1 - 0.1 * 0.5) = 1.9, then the step.
    expect(await stepOnce(engine, { ...ADAM, ...decayed, kind: 'adamw' }, 'kernel')).toBeCloseTo(2, 6);
    expect(await stepOnce(engine, { ...ADAM, ...decayed, kind: 'adamw' }, 'gamma')).toBeCloseTo(2.1, 6);
    expect(await stepOnce(engine, { ...ADAM, ...decayed, kind: 'adamw', decayed: 'all' }, 'gamma')).toBeCloseTo(2, 6);
  });

  it('are refused with momentum, a beta of 1 or without epsilon', () => {
    expect(optimizerSchema.parse(ADAM)).toEqual(ADAM);
    const { epsilon: _epsilon, ...incomplete } = ADAM;
    for (const wrong of [{ ...ADAM, momentum: 0.9 }, { ...ADAM, beta2: 1 }, { ...ADAM, epsilon: 0 }, incomplete]) {
      expect(optimizerSchema.safeParse(wrong).success).toBe(false);
    }
  });

  it('do not go on from a checkpoint of SGD', async () => {
    const engine = await createTfjsEngine('cpu');
    const runFolder = join(await makeTemporaryFolder(), 'run');
    const request = { dataset: createTinyDataset(), engine, runFolder, stream: new RecordingStream() };
    const config = tinyConfig();
    await trainAndEvaluate({ ...request, config, isResumed: false, maxSteps: 1 });
    await expect(
      trainAndEvaluate({ ...request, config: { ...config, optimizer: ADAM }, isResumed: true }),
    ).rejects.toMatchObject({ code: 'checkpoint/mismatch' });
  });
});
