import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readCheckpoint } from '../../train/checkpoint.ts';
import { createTfjsEngine } from '../../train/engine/tfjs-engine.ts';
import { trainAndEvaluate } from '../../train/loop.ts';
import { presetOf } from '../../train/presets.ts';
import { assertSameSplit, readStartPoint } from '../../train/start-point.ts';
import { writeEvaluation } from '../../train/convert/evaluate-model.ts';
import { measureTinyModel } from '../support/tiny-evaluation.ts';
import { tinyModelSource, writeTinyModel } from '../support/tiny-model.ts';
import { writeTinyCheckpoint } from '../support/tiny-checkpoint.ts';
import { createTinyDataset, tinyConfig } from '../support/tiny-run.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const parametersSha256 = 'ab'.repeat(32);
const dataSha256 = 'cd'.repeat(32);

describe('assertSameSplit', () => {
  const config = presetOf('first-light');
  const split = { seed: config.seed, validationImages: config.validationImages, dataSha256 };
  const start = { startsFrom: { run: 'first', step: 1, parametersSha256 }, parameters: new Map(), split };

  it('accepts a start that was validated on the same images', () => {
    expect(() => assertSameSplit(start, config, dataSha256)).not.toThrow();
  });

  it('accepts one that held out more: the images that are held out now are among them', () => {
    expect(() => assertSameSplit(start, { ...config, validationImages: 1000 }, dataSha256)).not.toThrow();
  });

  it('accepts any split of other data', () => {
    expect(() => assertSameSplit(start, { ...config, seed: 7 }, 'ef'.repeat(32))).not.toThrow();
  });

  it.each([{ seed: 7 }, { validationImages: 5010 }])(
    'refuses %j, which would validate on training images',
    (change) => {
      expect(() => assertSameSplit(start, { ...config, ...change }, dataSha256)).toThrow(
        expect.objectContaining({ code: 'config/invalid', message: expect.stringContaining('use --seed 1') }),
      );
    },
  );
});

describe('readStartPoint', () => {
  it('reads the parameters of a run, and names them by their hash', async () => {
    const run = join(await makeTemporaryFolder(), 'run');
    await writeTinyCheckpoint(run, { header: { config: { validationImages: 12 } } });
    const start = await readStartPoint(run);
    expect(start.parameters.size).toBeGreaterThan(10);
    expect(start.startsFrom.parametersSha256).toMatch(/^[0-9a-f]{64}$/);
    expect((await readStartPoint(run)).startsFrom).toEqual(start.startsFrom);
  });

  it.each(['float32', 'float16'] as const)('reads the parameters of a model in %s', async (weightType) => {
    const folder = join(await makeTemporaryFolder(), 'model');
    const { modelId, provenance } = await writeTinyModel(folder, { weightType });
    await expect(readStartPoint(folder)).rejects.toMatchObject({
      code: 'checkpoint/mismatch',
      message: expect.stringContaining('does not say how many validation images'),
    });
    const evaluation = await measureTinyModel(folder);
    const training = { command: null, config: {}, dataset: 'none', images: { training: 48, validation: 12 } };
    const took = { epochs: 1, wallSeconds: 1, imagesPerSecond: 1 };
    await writeEvaluation(folder, { ...evaluation, training: { ...training, ...took } });

    const { parameters, startsFrom, split } = await readStartPoint(folder);
    const { weights } = tinyModelSource();
    expect([...parameters.keys()].toSorted()).toEqual([...weights.keys()].toSorted());
    for (const [name, { shape, values }] of weights) {
      expect(parameters.get(name)?.shape).toEqual(shape);
      const difference = values.map((value, index) =>
        Math.abs(value - (parameters.get(name)?.values[index] ?? Number.NaN)),
      );
      // float16 keeps 11 bits of a kernel.
      expect(Math.max(...difference)).toBeLessThanOrEqual(weightType === 'float32' ? 0 : 2 ** -11 * 4);
    }
    expect(startsFrom).toMatchObject({ run: provenance.run, step: provenance.step, modelId });
    expect(split).toEqual({ seed: provenance.seed, validationImages: 12, dataSha256: provenance.dataSha256 });
  });

  it('refuses a folded model', async () => {
    const folder = join(await makeTemporaryFolder(), 'model');
    await writeTinyModel(folder, { isFolded: true });
    await expect(readStartPoint(folder)).rejects.toMatchObject({
      code: 'checkpoint/mismatch',
      message: expect.stringContaining('without --fold'),
    });
  });

  it('refuses a checkpoint that does not say what was held out', async () => {
    const run = join(await makeTemporaryFolder(), 'run');
    await writeTinyCheckpoint(run);
    await expect(readStartPoint(run)).rejects.toMatchObject({ code: 'checkpoint/mismatch' });
  });

  it.each([
    ['no parameters', new Map([['velocity', tinyModelSource().weights]]), 'its groups: velocity'],
    ['an empty group of them', new Map([['parameters', new Map()]]), 'its groups: parameters'],
  ])('refuses a checkpoint that has %s', async (_title, groups, named) => {
    const run = join(await makeTemporaryFolder(), 'run');
    await writeTinyCheckpoint(run, { header: { config: { validationImages: 12 } }, groups });
    await expect(readStartPoint(run)).rejects.toMatchObject({
      code: 'checkpoint/mismatch',
      message: expect.stringMatching(new RegExp(`"parameters" \\(${named}\\)`)),
    });
  });

  it('refuses a folder without a checkpoint', async () => {
    await expect(readStartPoint(await makeTemporaryFolder())).rejects.toMatchObject({ code: 'checkpoint/missing' });
  });
});

describe('a run with a start', () => {
  it('begins with the parameters of the other run, and with an order of its own', async () => {
    const root = await makeTemporaryFolder();
    const engine = await createTfjsEngine('cpu');
    const request = { dataset: createTinyDataset(), engine, isResumed: false, stream: { write: () => true } };
    const first = await trainAndEvaluate({ ...request, config: tinyConfig(), runFolder: join(root, 'first') });
    const { startsFrom, parameters } = await readStartPoint(join(root, 'first'));

    const still = { kind: 'constant', peak: Number.MIN_VALUE } as const;
    const config = tinyConfig({ startsFrom, schedule: still });
    const runFolder = join(root, 'second');
    const second = await trainAndEvaluate({ ...request, config, runFolder, startParameters: parameters, maxSteps: 1 });
    const read = async (folder: string) => (await readCheckpoint(folder)).groups.get('parameters');
    const [before, after] = [await read(first.checkpoint), await read(second.checkpoint)];
    expect(after?.get('conv1.weight')).toEqual(before?.get('conv1.weight'));
    expect(after?.get('bn1.running_mean')).not.toEqual(before?.get('bn1.running_mean'));
    expect((await readCheckpoint(second.checkpoint)).header.config).toMatchObject({ startsFrom: { run: 'first' } });
  });
});
