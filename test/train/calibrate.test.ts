import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { softmax } from '../../shared/classification.ts';
import { calibrate, findAbstention, fitTemperature, measureAnswers } from '../../train/calibrate.ts';
import type { Answers } from '../../train/calibrate.ts';
import { readCheckpoint } from '../../train/checkpoint.ts';
import { convertCheckpoint } from '../../train/convert/convert-checkpoint.ts';
import { createTfjsEngine } from '../../train/engine/tfjs-engine.ts';
import { trainAndEvaluate } from '../../train/loop.ts';
import { createRandom } from '../../train/random.ts';
import { readEvents } from '../../train/run-log.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';
import { writeTinyCheckpoint } from '../support/tiny-checkpoint.ts';
import { createTinyDataset, RecordingStream, tinyConfig } from '../support/tiny-run.ts';

const CLASS_NAMES = ['a', 'b', 'c'];

/** Labels that are drawn from softmax(logits / temperature): that temperature is the right one. */
function drawAnswers(count: number, temperature: number): Answers {
  const random = createRandom(9);
  const logits = Float32Array.from({ length: count * 3 }, () => 4 * random.nextNormal());
  const labels = Uint8Array.from({ length: count }, (_, image) => {
    const [first = 0, second = 0] = softmax(logits.subarray(image * 3, image * 3 + 3), temperature);
    const draw = random.next();
    return draw < first ? 0 : draw < first + second ? 1 : 2;
  });
  return { logits, labels };
}

describe('findAbstention', () => {
  const imageShape = [2, 2, 1] as const;
  const pixelsOf = (count: number): Uint8Array =>
    Uint8Array.from({ length: count * 4 }, (_, index) => (index % 4 === 0 ? (Math.floor(index / 4) * 37) % 256 : 0));

  it('finds thresholds that nearly all validation images pass', () => {
    const answers = drawAnswers(4000, 1);
    const rule = findAbstention(answers, { pixels: pixelsOf(4000), imageShape, temperature: 2 });
    if (rule === undefined) throw new Error('no rule');
    const energies = Array.from({ length: 4000 }, (_, image) => {
      const own = answers.logits.subarray(image * 3, image * 3 + 3);
      return Math.log(own.reduce((sum, logit) => sum + Math.exp(logit / 2), 0));
    });
    expect(energies.filter((energy) => energy < rule.threshold - 1e-9).length).toBe(160);
    expect(rule).toMatchObject({ score: 'energy', images: 4000 });
    expect(rule.coverage).toBeGreaterThanOrEqual(0.95);
    expect(rule.coverage).toBeLessThan(0.97);
  });

  it('finds none in too few images', () => {
    const few = { pixels: pixelsOf(999), imageShape, temperature: 1 };
    expect(findAbstention(drawAnswers(999, 1), few)).toBeUndefined();
  });
});

describe('fitTemperature', () => {
  it.each([0.5, 1, 2.5])('finds the temperature %d that the labels were drawn with', (temperature) => {
    expect(fitTemperature(drawAnswers(20_000, temperature))).toBeCloseTo(temperature, 1);
  });

  it('finds the minimum that can be computed by hand', () => {
    // Two classes, a margin of 2, right in 3 of 4 images: sigmoid(2 / T) = 3 / 4, so T = 2 / ln 3.
    const answers = { logits: Float32Array.of(2, 0, 2, 0, 0, 2, 2, 0), labels: Uint8Array.of(0, 0, 1, 1) };
    expect(fitTemperature(answers)).toBeCloseTo(2 / Math.log(3), 5);
  });

  it('is no worse than any neighbour', () => {
    const answers = drawAnswers(500, 1.7);
    const best = fitTemperature(answers) ?? Number.NaN;
    const { loss } = measureAnswers(answers, CLASS_NAMES, best);
    for (const factor of [0.9, 0.99, 1.01, 1.1]) {
      expect(measureAnswers(answers, CLASS_NAMES, best * factor).loss).toBeGreaterThan(loss);
    }
  });

  it('does not tell what the images do not tell: all right, or no better than chance', () => {
    expect(fitTemperature({ logits: Float32Array.of(2, 0, 0, 2), labels: Uint8Array.of(0, 1) })).toBeNull();
    expect(fitTemperature({ logits: Float32Array.of(2, 0, 2, 0), labels: Uint8Array.of(0, 1) })).toBeNull();
  });
});

describe('calibrate', () => {
  it('lowers loss and calibration error of an overconfident network', () => {
    const { temperature, images, loss, expectedCalibrationError } = calibrate(drawAnswers(5000, 2.5), CLASS_NAMES);
    expect(temperature).toBeGreaterThan(2);
    expect(images).toBe(5000);
    expect(loss.after).toBeLessThan(loss.before);
    expect(expectedCalibrationError.before).toBeGreaterThan(0.1);
    expect(expectedCalibrationError.after).toBeLessThan(0.02);
  });

  it('changes nothing where there is no temperature', () => {
    const { temperature, loss } = calibrate(
      { logits: Float32Array.of(2, 0, 0, 0, 2, 0), labels: Uint8Array.of(0, 1) },
      CLASS_NAMES,
    );
    expect(temperature).toBeNull();
    expect(loss.after).toBe(loss.before);
  });
});

describe('a finished run', () => {
  it('has its calibration in the log and in the last checkpoint', async () => {
    const engine = await createTfjsEngine('cpu');
    const runFolder = join(await makeTemporaryFolder(), 'run');
    const request = { dataset: createTinyDataset(), engine, runFolder, stream: new RecordingStream() };
    const config = tinyConfig({ epochs: 1, validationImages: 30 });
    const { checkpoint } = await trainAndEvaluate({ ...request, config, isResumed: false });
    const { calibration } = (await readCheckpoint(checkpoint)).header;
    const events = await readEvents(runFolder);
    const { validation } = z
      .looseObject({ validation: z.looseObject({ loss: z.number() }) })
      .parse(events.find(({ event }) => event === 'average'));
    expect(calibration).toMatchObject({ images: 30, loss: { before: validation.loss } });
    expect(events.find(({ event }) => event === 'calibration')).toMatchObject({ step: 3, ...calibration });
    expect(events.at(-1)).toMatchObject({
      event: 'test',
      calibrated: { loss: expect.any(Number), expectedCalibrationError: expect.any(Number) },
    });
    expect(request.stream.text).toMatch(/temperature/);
  });

  it.each([
    [1.7, 1.7],
    [null, 1],
  ])('with the temperature %s becomes a model with %d', async (temperature, expected) => {
    const root = await makeTemporaryFolder();
    const change = { before: 0.2, after: 0.1 };
    const calibration = { temperature, images: 30, loss: change, expectedCalibrationError: change };
    const manifest = await convertCheckpoint({
      checkpoint: await writeTinyCheckpoint(join(root, 'run'), { header: { calibration } }),
      out: join(root, 'model'),
      form: { weightType: 'float32', isFolded: false },
      weights: undefined,
      parity: null,
      command: 'test',
      report: () => undefined,
    });
    expect(manifest.temperature).toBe(expected);
  });

  it('carries its thresholds into the model, and says nothing where there are none', async () => {
    const root = await makeTemporaryFolder();
    const change = { before: 0.2, after: 0.1 };
    const calibration = { temperature: 1.5, images: 2000, loss: change, expectedCalibrationError: change };
    const abstention = {
      score: 'energy',
      threshold: 2.5,
      roughness: { min: 4, max: 27 },
      coverage: 0.95,
      images: 2000,
    };
    const convert = async (name: string, differences: object) =>
      convertCheckpoint({
        checkpoint: await writeTinyCheckpoint(join(root, name), {
          header: { calibration: { ...calibration, ...differences } },
        }),
        out: join(root, `${name}-model`),
        form: { weightType: 'float32', isFolded: false },
        weights: undefined,
        parity: null,
        command: 'test',
        report: () => undefined,
      });
    const careful = await convert('careful', { abstention });
    expect(careful.abstention).toEqual(abstention);
    const plain = await convert('plain', {});
    expect(plain).not.toHaveProperty('abstention');
    expect(plain.modelId).not.toBe(careful.modelId);
  });

  it('has none without validation images, and neither has a checkpoint from before there were temperatures', async () => {
    const engine = await createTfjsEngine('cpu');
    const root = await makeTemporaryFolder();
    const request = { dataset: createTinyDataset(), engine, stream: new RecordingStream() };
    const config = tinyConfig({ epochs: 1, validationImages: 0 });
    const { checkpoint } = await trainAndEvaluate({
      ...request,
      config,
      runFolder: join(root, 'run'),
      isResumed: false,
    });
    expect((await readCheckpoint(checkpoint)).header.calibration).toBeUndefined();
    const old = await writeTinyCheckpoint(join(root, 'old'));
    expect(await readFile(join(old, 'checkpoint.json'), 'utf8')).not.toContain('calibration');
    expect((await readCheckpoint(old)).header.calibration).toBeUndefined();
  });
});
