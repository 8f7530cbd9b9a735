import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decodePng } from '../../../shared/image/png-decode.ts';
import { readTestAnswers, writeTestAnswers } from '../../../train/report/test-answers.ts';
import { tinyDataset } from '../../support/tiny-dataset.ts';
import { makeTemporaryFolder } from '../../support/temporary-folder.ts';

const random = tinyDataset({ testCount: 4 });
const dataset = { ...random, test: { ...random.test, labels: Uint8Array.of(0, 1, 2, 1) } };
const answers = {
  // Right; wrong with 8/10; right; wrong with 90/92.
  logits: Float32Array.from([5, 0, 0, Math.log(8), 0, 0, 0, 0, 1, 0, 0, Math.log(90)]),
  labels: dataset.test.labels,
};

describe('the answers of a run', () => {
  it('come back bit for bit, with the surest mistakes first and their pictures', async () => {
    const folder = await makeTemporaryFolder();
    expect(await readTestAnswers(folder)).toBeUndefined();
    await writeTestAnswers(folder, { dataset, answers, step: 7, temperature: 1 });
    const found = await readTestAnswers(folder);
    expect(found?.answers).toEqual(answers);
    expect(found?.classNames).toEqual(dataset.classNames);
    const [first, second, ...others] = found?.mistakes ?? [];
    expect(others).toEqual([]);
    expect(first).toMatchObject({ index: 3, label: 'class 1', predicted: 'class 2' });
    expect(first?.probability).toBeCloseTo(90 / 92, 6);
    expect(first?.labelProbability).toBeCloseTo(1 / 92, 6);
    expect(second).toMatchObject({ index: 1, label: 'class 1', predicted: 'class 0' });
    expect(second?.probability).toBeCloseTo(8 / 10, 6);

    const picture = await decodePng(new Uint8Array(Buffer.from(first?.png ?? '', 'base64')));
    const size = 8 * 8 * 3;
    expect(picture).toMatchObject({ width: 8, height: 8 });
    expect(picture.pixels).toEqual(dataset.test.pixels.slice(3 * size, 4 * size));
  });

  it('have probabilities at the temperature of the run', async () => {
    const folder = await makeTemporaryFolder();
    await writeTestAnswers(folder, { dataset, answers, step: 7, temperature: 2 });
    const found = await readTestAnswers(folder);
    expect(found?.temperature).toBe(2);
    expect(found?.mistakes[1]?.probability).toBeCloseTo(Math.sqrt(8) / (Math.sqrt(8) + 2), 6);
  });

  it('are refused when the file is damaged', async () => {
    const folder = await makeTemporaryFolder();
    const path = join(folder, 'test-answers.json');
    await writeTestAnswers(folder, { dataset, answers, step: 7, temperature: 1 });
    const record = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    for (const damaged of ['{', JSON.stringify({ ...record, labels: 'AAAA' })]) {
      await writeFile(path, damaged);
      await expect(readTestAnswers(folder)).rejects.toMatchObject({ code: 'run/damaged' });
    }
  });
});
