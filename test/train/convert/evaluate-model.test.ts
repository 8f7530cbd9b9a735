import path from 'node:path';
import { readFile, stat } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { groupMistakes, decodeAnswers } from '../../../shared/test-answers.ts';
import type { Evaluation } from '../../../shared/manifest.ts';
import { readEvaluation } from '../../../train/convert/read-model.ts';
import { makeSharedFolder } from '../../support/temporary-folder.ts';
import { measureTinyModel } from '../../support/tiny-evaluation.ts';
import { writeTinyModel } from '../../support/tiny-model.ts';

let folder: string;
let modelId: string;
let classNames: string[];
let evaluation: Evaluation;

beforeAll(async () => {
  folder = path.join(await makeSharedFolder(), 'model');
  ({ modelId, classNames } = await writeTinyModel(folder));
  evaluation = await measureTinyModel(folder, { robustnessImages: 20 });
});

describe('an evaluated model folder', () => {
  it('keeps the answer to each image, as the confusion matrix counts them', async () => {
    const stored = await readEvaluation(folder, modelId);
    expect(stored).toEqual(evaluation);
    const { answers, metrics } = evaluation;
    if (answers === undefined || metrics === null) throw new Error('nothing was kept');
    const decoded = decodeAnswers(answers, { images: 60, classes: classNames.length });
    const counted = metrics.confusion.map((row) => row.map(() => 0));
    for (const [index, label] of decoded.labels.entries()) {
      const row = counted[label] ?? [];
      const predicted = decoded.predicted[index] ?? -1;
      row[predicted] = (row[predicted] ?? 0) + 1;
    }
    expect(counted).toEqual(metrics.confusion);
    const wrong = groupMistakes(decoded, classNames).reduce((sum, { indices }) => sum + indices.length, 0);
    expect(wrong).toBe(metrics.n - metrics.correct);
    expect(evaluation.calibration?.after.expectedCalibrationError).toBe(metrics.expectedCalibrationError);
  });

  it('has the figures of each corruption and severity, the same when they are measured again', async () => {
    const { robustness } = evaluation;
    expect(robustness).toMatchObject({ images: 20, seed: 1, definition: 'resnet18-edge corruptions 1' });
    expect(robustness?.corruptions.length).toBe(7 * 3);
    expect(robustness?.correct).toBeLessThanOrEqual(20);
    const again = await measureTinyModel(folder, { robustnessImages: 20 });
    expect(again.robustness?.corruptions).toEqual(robustness?.corruptions);
  });

  it('keeps its robustness when only the test set is measured again', async () => {
    const before = (await readEvaluation(folder, modelId))?.robustness;
    expect((await measureTinyModel(folder)).robustness).toEqual(before);
  });

  it('has no figures of not answering when the model has no thresholds', () => {
    expect(evaluation.abstention).toBeUndefined();
  });

  it('has them when it has thresholds: what is answered, why not, and foreign pictures of each kind', async () => {
    const careful = path.join(await makeSharedFolder(), 'careful');
    const range = { min: 0.5, max: 60 };
    const rule = { score: 'energy', threshold: 2, roughness: range, coverage: 0.95, images: 1000 } as const;
    await writeTinyModel(careful, { abstention: rule });
    const { abstention, metrics } = await measureTinyModel(careful);
    if (abstention === undefined || metrics === null) throw new Error('nothing was measured');
    expect(abstention).toMatchObject({ images: 60, definition: 'resnet18-edge foreign pictures 1', seed: 1 });
    expect(abstention.answered + Math.max(...Object.values(abstention.reasons))).toBeLessThanOrEqual(60);
    expect(abstention.correct).toBeLessThanOrEqual(Math.min(abstention.answered, metrics.correct));
    const abstained = Object.fromEntries(
      abstention.foreign.map(({ name, images, ...each }) => [name, each.abstained / images]),
    );
    // Noise is rougher than 60 and one colour smoother than 0.5, whatever the network says.
    expect(abstained).toMatchObject({ noise: 1, 'one colour': 1 });
    expect(Object.keys(abstained)).toEqual(['noise', 'one colour', 'drawn shapes', 'shuffled parts']);
    expect((await measureTinyModel(careful)).abstention).toEqual(abstention);
  });

  it('is small: eight bytes for each image in base64', async () => {
    const text = await readFile(path.join(folder, 'evaluation.json'), 'utf8');
    const { answers } = JSON.parse(text) as Evaluation;
    expect(JSON.stringify(answers).length).toBeLessThan(60 * 8 + 60);
    expect((await stat(path.join(folder, 'evaluation.json'))).size).toBeLessThan(20_000);
  });
});
