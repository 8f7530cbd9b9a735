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

  it('is small: eight bytes for each image in base64', async () => {
    const text = await readFile(path.join(folder, 'evaluation.json'), 'utf8');
    const { answers } = JSON.parse(text) as Evaluation;
    expect(JSON.stringify(answers).length).toBeLessThan(60 * 8 + 60);
    expect((await stat(path.join(folder, 'evaluation.json'))).size).toBeLessThan(20_000);
  });
});
