/** Whole runs in miniature: what they leave behind, that an interruption changes no bit, and what is refused. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { NO_AUGMENTATION } from '../../train/augment.ts';
import { findLatestCheckpoint, readCheckpoint, writeCheckpoint } from '../../train/checkpoint.ts';
import { createTfjsEngine } from '../../train/engine/tfjs-engine.ts';
import type { Engine } from '../../train/engine/engine.ts';
import { trainAndEvaluate } from '../../train/loop.ts';
import type { EpochRecord, TrainRequest, TrainResult } from '../../train/loop.ts';
import { readEvents } from '../../train/run-log.ts';
import { describeOnEachEngine } from '../support/engine-matrix.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';
import { tinyArchitecture } from '../support/tiny-model.ts';
import { createTinyDataset, RecordingStream, tinyConfig } from '../support/tiny-run.ts';

const dataset = createTinyDataset();

async function draftRequest(engine: Engine, differences: Partial<TrainRequest> = {}): Promise<TrainRequest> {
  const runFolder = join(await makeTemporaryFolder(), 'run');
  const stream = new RecordingStream();
  return { config: tinyConfig(), dataset, engine, runFolder, isResumed: false, stream, ...differences };
}

/** Everything that must not depend on interruptions: all tensors, the epochs' figures, the test metrics. */
async function readOutcome({ runFolder }: TrainRequest, { test }: TrainResult) {
  const { header, groups } = await readCheckpoint((await findLatestCheckpoint(runFolder)) ?? '');
  const epochs = (header.history as readonly EpochRecord[]).map(
    ({ durationSeconds: _seconds, imagesPerSecond: _rate, ...record }) => record,
  );
  return { step: header.step, epoch: header.epoch, groups, epochs, test };
}

describeOnEachEngine('a run', ({ engine }) => {
  it('ends with the same bits when it is stopped in the middle of both epochs and resumed', async () => {
    const whole = await draftRequest(engine());
    const expected = await readOutcome(whole, await trainAndEvaluate(whole));
    expect(expected).toMatchObject({ step: 8, epoch: 2, epochs: [{ step: 4 }, { step: 8 }], test: { n: 21 } });

    const parts = await draftRequest(engine());
    const first = await trainAndEvaluate({ ...parts, maxSteps: 2 });
    expect(first).toEqual({ isFinished: false, checkpoint: join(parts.runFolder, 'checkpoint-2'), test: null });
    const second = await trainAndEvaluate({ ...parts, isResumed: true, maxSteps: 7 });
    expect(second.checkpoint).toBe(join(parts.runFolder, 'checkpoint-7'));
    const last = await trainAndEvaluate({ ...parts, isResumed: true });
    expect(last.isFinished).toBe(true);
    expect(await readOutcome(parts, last)).toEqual(expected);
  });
});

describe('trainAndEvaluate', () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await createTfjsEngine('wasm');
  });

  it('leaves easy images out of the middle of a run, and ends with the same bits when it is stopped there', async () => {
    const easyImages = { leftOutShare: 0.5, fromShare: 0.2, untilShare: 0.8 };
    const config = tinyConfig({ epochs: 5, easyImages });
    const whole = await draftRequest(engine, { config });
    const expected = await readOutcome(whole, await trainAndEvaluate(whole));
    const [, measured, third = 0, fourth = 0, last = 0] = expected.epochs.map(({ step }) => step);
    // 48 images in 4 steps each, and fewer in the third and the fourth epoch.
    expect(measured).toBe(8);
    expect(third).toBeLessThan(12);
    expect(last - fourth).toBe(4);
    expect(expected.epochs.at(-1)?.learningRate).toBeCloseTo(0, 9);
    expect([...expected.groups.keys()]).toEqual(['parameters', 'velocity', 'average']);

    const parts = await draftRequest(engine, { config });
    for (const maxSteps of [5, 8, 9, third, third + 1]) {
      const { checkpoint } = await trainAndEvaluate({ ...parts, isResumed: maxSteps > 5, maxSteps });
      expect((await readCheckpoint(checkpoint)).groups.get('imageLosses')?.get('loss')?.shape).toEqual([48]);
    }
    expect(await readOutcome(parts, await trainAndEvaluate({ ...parts, isResumed: true }))).toEqual(expected);
    const logged = (await readEvents(parts.runFolder)).filter(({ event }) => event === 'steps' || event === 'epoch');
    for (const { accuracy, training } of logged as { accuracy?: number; training?: { accuracy: number } }[]) {
      expect(accuracy ?? training?.accuracy).toBeLessThanOrEqual(1);
    }
  });

  it('learns, and leaves its configuration, its log, its curves and the last checkpoints', async () => {
    const config = tinyConfig({ epochs: 12, labelSmoothing: 0, augment: NO_AUGMENTATION });
    const request = await draftRequest(engine, { config });
    const result = await trainAndEvaluate(request);
    const { epochs, groups } = await readOutcome(request, result);
    expect(epochs.map((record) => record.epoch)).toEqual(Array.from({ length: 12 }, (_, index) => index + 1));
    expect(epochs.at(-1)?.training.loss).toBeLessThan((epochs[0]?.training.loss ?? 0) / 4);
    expect(epochs.at(-1)?.validation).toMatchObject({ n: 12 });
    expect(result.test?.accuracy).toBeGreaterThan(0.8);
    expect([...groups.keys()]).toEqual(['parameters', 'velocity', 'average']);

    const files = (await readdir(request.runFolder)).toSorted();
    expect(files.map((name) => name.replace(/^(events\.out\.tfevents)\.\d+\.run$/, '$1'))).toEqual([
      'checkpoint-44',
      'checkpoint-48',
      'config.json',
      'curves.svg',
      'events.out.tfevents',
      'log.jsonl',
      'report.html',
      'test-answers.json',
    ]);
    expect(JSON.parse(await readFile(join(request.runFolder, 'config.json'), 'utf8'))).toEqual(config);
    const events = await readEvents(request.runFolder);
    expect(events[0]).toMatchObject({
      event: 'start',
      dataSha256: dataset.sha256,
      seed: 7,
      images: { training: 48, validation: 12 },
      engine: engine.device,
    });
    const shares = events.filter(({ event }) => event === 'epoch').map(({ waitShare }) => Number(waitShare));
    expect(shares).toHaveLength(12);
    expect(shares.filter((share) => share >= 0 && share <= 1)).toHaveLength(12);
    expect(events.at(-1)).toMatchObject({ event: 'test', step: 48, metrics: { n: 21 } });
    expect((request.stream as RecordingStream).text).toMatch(/epoch 12: training .*, waited \d+\.\d\d %/);
  });

  it('follows the schedule: the last step of an epoch has the recorded rate', async () => {
    const request = await draftRequest(engine);
    const { epochs } = await readOutcome(request, await trainAndEvaluate(request));
    // Up to 0.1 in two of eight steps, then down to zero in the other six: the fourth has 4/6 of it.
    expect(epochs[0]?.learningRate).toBeCloseTo((0.1 * 4) / 6, 9);
    expect(epochs[1]?.learningRate).toBeCloseTo(0, 9);
  });

  it('stops after the current step when its signal is aborted, and goes on with the same bits', async () => {
    const whole = await draftRequest(engine);
    const expected = await readOutcome(whole, await trainAndEvaluate(whole));
    const controller = new AbortController();
    // The first thing it shows is the first step.
    const stream = { write: () => controller.abort() };
    const request = await draftRequest(engine, { signal: controller.signal, stream });
    const stopped = await trainAndEvaluate(request);
    expect(stopped).toEqual({ isFinished: false, checkpoint: join(request.runFolder, 'checkpoint-1'), test: null });
    const { signal: _signal, ...rest } = request;
    const resumed = { ...rest, isResumed: true, stream: new RecordingStream() };
    expect(await readOutcome(resumed, await trainAndEvaluate(resumed))).toEqual(expected);
    const events = (await readEvents(request.runFolder)).map(({ event }) => event);
    expect(events.filter((event) => event !== 'steps')).toEqual([
      'start',
      'interrupted',
      'resume',
      'epoch',
      'epoch',
      'average',
      'calibration',
      'test',
    ]);
  });

  it('is repeated from the last checkpoint after a crash, also between the last step of an epoch and its end', async () => {
    const config = tinyConfig({ checkpointEverySteps: 2 });
    const whole = await draftRequest(engine, { config });
    const expected = await readOutcome(whole, await trainAndEvaluate(whole));
    for (const [method, call, lastStep] of [
      // The 4th step of the first epoch fails; then the first validation, right after the checkpoint of the 4th step.
      ['softmaxCrossEntropy', 4, 2],
      ['batchNormInference', 1, 4],
    ] as const) {
      const request = await draftRequest(failAt(engine, method, call), { config });
      await expect(trainAndEvaluate(request)).rejects.toThrow('the power went off');
      expect(await findLatestCheckpoint(request.runFolder)).toBe(join(request.runFolder, `checkpoint-${lastStep}`));
      const resumed = { ...request, engine, isResumed: true };
      expect(await readOutcome(resumed, await trainAndEvaluate(resumed))).toEqual(expected);
    }
  });

  it('repeats nothing but the test when a finished run is resumed', async () => {
    const request = await draftRequest(engine);
    const expected = await readOutcome(request, await trainAndEvaluate(request));
    const again = await trainAndEvaluate({ ...request, isResumed: true });
    expect(await readOutcome(request, again)).toEqual(expected);
  });

  it('starts with other weights and another order of the images for another seed', async () => {
    const seen = [];
    for (const seed of [7, 8, 7]) {
      const config = tinyConfig({ seed, augment: NO_AUGMENTATION, validationImages: 0 });
      const uploads: Float32Array[] = [];
      const request = await draftRequest(recordUploads(engine, uploads), { config, maxSteps: 1 });
      await trainAndEvaluate(request);
      const [first = new Float32Array()] = uploads.filter(({ length }) => length === 3 * 3 * 3 * 4);
      const [images = new Float32Array()] = uploads.filter(({ length }) => length === 13 * 6 * 6 * 3);
      expect([first.length, images.length]).toEqual([108, 1404]);
      seen.push({ first, images });
    }
    expect(seen[2]).toEqual(seen[0]);
    expect(seen[1]?.first).not.toEqual(seen[0]?.first);
    expect(seen[1]?.images).not.toEqual(seen[0]?.images);
  });

  it('holds out other images for another seed', async () => {
    const seen = [];
    for (const seed of [7, 8]) {
      const uploads: Float32Array[] = [];
      const config = tinyConfig({ seed, epochs: 1, evaluationBatchSize: 12 });
      const request = await draftRequest(recordUploads(engine, uploads), { config });
      await trainAndEvaluate(request);
      // The first batch of twelve: validation comes before the test.
      seen.push(uploads.find(({ length }) => length === 12 * 8 * 8 * 3));
    }
    expect(seen[0]?.length).toBe(2304);
    expect(seen[1]).not.toEqual(seen[0]);
  });

  it('lets the test set choose nothing: other test images change the test metrics only', async () => {
    const outcomes = [];
    for (const test of [dataset.test, createTinyDataset({ seed: 99, testCount: 5 }).test]) {
      const request = await draftRequest(engine, { dataset: { ...dataset, test } });
      outcomes.push(await readOutcome(request, await trainAndEvaluate(request)));
    }
    const [{ test: first, ...one } = { test: null }, { test: second, ...other } = { test: null }] = outcomes;
    expect(one).toEqual(other);
    expect([first?.n, second?.n]).toEqual([21, 5]);
  });

  it('trains on all images when none are held out', async () => {
    const request = await draftRequest(engine, { config: tinyConfig({ validationImages: 0, epochs: 1 }) });
    const { step, epochs } = await readOutcome(request, await trainAndEvaluate(request));
    expect(step).toBe(5);
    expect(epochs[0]?.validation).toBeNull();
  });

  it('gives all tensors back, also when it fails', async () => {
    const before = engine.countTensors();
    await trainAndEvaluate(await draftRequest(engine, { config: tinyConfig({ epochs: 1 }) }));
    expect(engine.countTensors()).toBe(before);
    const request = await draftRequest(engine);
    await trainAndEvaluate({ ...request, maxSteps: 1 });
    await expect(trainAndEvaluate(request)).rejects.toThrow('is there already');
    expect(engine.countTensors()).toBe(before);
  });

  describe('refuses', () => {
    it('a folder that is there already, and says what to do', async () => {
      const request = await draftRequest(engine, { maxSteps: 1 });
      await trainAndEvaluate(request);
      await expect(trainAndEvaluate(request)).rejects.toMatchObject({
        code: 'run/exists',
        message: expect.stringMatching(/run is there already; add --resume .* or choose another --out$/),
      });
    });

    it('to resume without a checkpoint', async () => {
      const request = await draftRequest(engine, { isResumed: true });
      await expect(trainAndEvaluate(request)).rejects.toMatchObject({ code: 'checkpoint/missing' });
    });

    it('to resume on other data', async () => {
      const request = await draftRequest(engine, { maxSteps: 1 });
      await trainAndEvaluate(request);
      const other = createTinyDataset({ seed: 2 });
      await expect(trainAndEvaluate({ ...request, dataset: other, isResumed: true })).rejects.toMatchObject({
        code: 'checkpoint/mismatch',
        message: expect.stringContaining(`${dataset.sha256}, these have ${other.sha256}`),
      });
    });

    it('to resume with another configuration, but not with other key order', async () => {
      const request = await draftRequest(engine, { maxSteps: 1 });
      await trainAndEvaluate(request);
      const changed = { ...request, isResumed: true, config: tinyConfig({ labelSmoothing: 0.2 }) };
      await expect(trainAndEvaluate(changed)).rejects.toMatchObject({
        code: 'checkpoint/mismatch',
        message: expect.stringContaining('the configuration differs'),
      });
      const turned = Object.fromEntries(Object.entries(request.config).toReversed()) as TrainRequest['config'];
      const resumed = await trainAndEvaluate({ ...request, isResumed: true, config: turned, maxSteps: 2 });
      expect(resumed.checkpoint).toBe(join(request.runFolder, 'checkpoint-2'));
    });

    it('to go on leaving images out when the checkpoint does not know their losses', async () => {
      const easyImages = { leftOutShare: 0.5, fromShare: 0, untilShare: 1 };
      const request = await draftRequest(engine, { config: tinyConfig({ epochs: 3, easyImages }), maxSteps: 5 });
      const { header, groups } = await readCheckpoint((await trainAndEvaluate(request)).checkpoint);
      const others = new Map([...groups].filter(([name]) => name !== 'imageLosses'));
      await writeCheckpoint(request.runFolder, { header, groups: others });
      await expect(trainAndEvaluate({ ...request, isResumed: true })).rejects.toMatchObject({
        code: 'checkpoint/damaged',
        message: expect.stringMatching(/has the groups parameters, velocity, average; .* and imageLosses are expected/),
      });
    });

    it('a network that it cannot compute, before it makes the folder', async () => {
      const {
        classes: _classes,
        inputShape: _shape,
        ...network
      } = tinyArchitecture({
        dropout: [{ after: 'layer1', rate: 0.1 }],
      });
      const request = await draftRequest(engine, { config: tinyConfig({ network }) });
      const before = engine.countTensors();
      await expect(trainAndEvaluate(request)).rejects.toMatchObject({
        code: 'architecture/unsupported',
        message: expect.stringContaining('"layer1.dropout"'),
      });
      expect(engine.countTensors()).toBe(before);
      await expect(readdir(request.runFolder)).rejects.toThrow('ENOENT');
    });

    it('to go on once the loss is no number, and keeps the last checkpoint', async () => {
      const config = tinyConfig({
        schedule: { kind: 'steps', peak: 0.01, dropsAt: [], factor: 0.5 },
        optimizer: { kind: 'sgd', momentum: 0, nesterov: false, weightDecay: 1e30, decayed: 'all' },
        checkpointEverySteps: 1,
      });
      const request = await draftRequest(engine, { config });
      const before = engine.countTensors();
      await expect(trainAndEvaluate(request)).rejects.toMatchObject({ code: 'training/diverged' });
      expect(engine.countTensors()).toBe(before);
      expect(await findLatestCheckpoint(request.runFolder)).toMatch(/checkpoint-[1-7]$/);
    });
  });
});

/** The same engine; the values of every upload are kept in a list. */
function recordUploads(engine: Engine, uploads: Float32Array[]): Engine {
  return observeCalls(engine, (method, [values]) => {
    if (method === 'upload' && values instanceof Float32Array) uploads.push(values.slice());
  });
}

/** The same engine, on which the n-th call of one method fails. */
function failAt(engine: Engine, method: keyof Engine, failingCall: number): Engine {
  let calls = 0;
  return observeCalls(engine, (called) => {
    if (called === method && ++calls === failingCall) throw new Error('the power went off');
  });
}

/** The same engine; `observe` is told of each call before it is done. */
function observeCalls(engine: Engine, observe: (method: string | symbol, args: readonly unknown[]) => void): Engine {
  return new Proxy(engine, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]): unknown => {
        observe(key, args);
        return Reflect.apply(value, target, args);
      };
    },
  });
}
