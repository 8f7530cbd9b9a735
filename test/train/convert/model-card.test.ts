import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Evaluation, ModelManifest } from '../../../shared/manifest.ts';
import { MetricsAccumulator } from '../../../shared/metrics.ts';
import { hashConfig } from '../../../train/config.ts';
import { convertCheckpoint } from '../../../train/convert/convert-checkpoint.ts';
import { evaluateModel } from '../../../train/convert/evaluate-model.ts';
import { formatModelCard, writeModelCard } from '../../../train/convert/model-card.ts';
import { readEvaluation, readManifest, readModel } from '../../../train/convert/read-model.ts';
import { createTfjsEngine } from '../../../train/engine/tfjs-engine.ts';
import { readRun } from '../../../train/report/read-run.ts';
import { makeSharedFolder } from '../../support/temporary-folder.ts';
import { writeTinyModel } from '../../support/tiny-model.ts';
import { reportedDataset, writeTinyReport } from '../../support/tiny-report.ts';

const SHIPPED = path.join(import.meta.dirname, '../../../serve/models');
const RESULTS = path.join(import.meta.dirname, '../../../train/results');

/** The rows of the table whose first heading this is. */
function readTable(card: string, heading: string): string[][] {
  const [, table = ''] = card.split(`| ${heading} |`);
  const [rows = ''] = table.split('\n\n');
  return rows
    .split('\n')
    .slice(2)
    .map((row) =>
      row
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

describe('the cards of the shipped models', async () => {
  const models = (await readdir(SHIPPED)).filter((name) => name !== 'channels');

  it.each(models)('%s is what its manifest and its evaluation say', async (model) => {
    const folder = path.join(SHIPPED, model);
    const manifest = await readManifest(folder);
    const evaluation = await readEvaluation(folder, manifest.modelId);
    const card = await readFile(path.join(folder, 'MODEL_CARD.md'), 'utf8');
    expect(card).toBe(formatModelCard(manifest, evaluation));
    expect(card).toContain('no licence file');
    expect(card).toContain(`n = ${evaluation?.metrics?.n.toLocaleString('en-US')}`);
    expect(evaluation?.training?.command).toMatch(/^npm run train -- --preset /);
    expect(hashConfig(evaluation?.training?.config)).toBe(manifest.provenance.configSha256);
    // The card beside it does not make the folder another model.
    expect((await readModel(folder)).manifest.modelId).toBe(model);
  });
});

describe('the card of a model in miniature', () => {
  let root: string;
  let runFolder: string;
  let folder: string;
  let manifest: ModelManifest;
  let evaluation: Evaluation | undefined;
  beforeAll(async () => {
    root = await makeSharedFolder();
    ({ runFolder } = await writeTinyReport(root));
    folder = path.join(root, 'model');
    manifest = await convertCheckpoint({
      checkpoint: runFolder,
      weights: undefined,
      out: folder,
      form: { weightType: 'float32', isFolded: false },
      parity: { images: 20, obtainData: async () => reportedDataset, startEngine: () => createTfjsEngine('wasm') },
      command: 'a test',
      report: () => {},
      stream: { write: () => true },
    });
    const stream = { write: (): boolean => true };
    evaluation = await evaluateModel({ folder, dataset: reportedDataset, command: 'a test', stream });
  });

  it('has the facts of the training from the run folder, and keeps them when it is measured', async () => {
    const run = await readRun(runFolder);
    const seconds = run.epochs.reduce((sum, { durationSeconds }) => sum + durationSeconds, 0);
    expect(evaluation?.training).toMatchObject({
      command: null,
      dataset: 'bright halves',
      images: { training: 48, validation: 12 },
      epochs: 3,
      config: run.config,
    });
    // Each epoch sees all 48 images.
    expect(evaluation?.training?.imagesPerSecond).toBeCloseTo((3 * 48) / seconds, 6);
    expect(evaluation?.parity).toHaveLength(1);
  });

  it('has the measured figures of each class', async () => {
    const file = await writeModelCard({ folder, runFolder: undefined });
    expect(file).toBe(path.join(folder, 'MODEL_CARD.md'));
    const card = await readFile(file, 'utf8');
    const { answers } = (await readRun(runFolder)).answers ?? {};
    const metrics = new MetricsAccumulator({ classNames: reportedDataset.classNames });
    metrics.addBatch(answers?.logits ?? new Float32Array(0), answers?.labels ?? []);
    const { classes, accuracy } = metrics.summarize();
    const percent = (share: number | null): string => (share === null ? '–' : `${(100 * share).toFixed(2)} %`);
    expect(readTable(card, 'class').map((row) => row.map((cell) => cell.split(' (')[0]))).toEqual(
      classes.map(({ label, support, precision, recall, f1 }) => [
        label,
        `${support}`,
        ...[precision, recall, f1].map(percent),
      ]),
    );
    expect(readTable(card, 'figure')[0]?.[1]?.startsWith(`${percent(accuracy)} (`)).toBe(true);
    expect(card).toContain('bright halves: its terms are those of its owner.');
    expect(card).not.toContain('CIFAR-10');
    expect(card).toMatch(/temperature \| 0\.\d{4}, fitted on held-out training images/);
  });

  it('tells of a model with thresholds what it answers, and how it holds when pictures are damaged', async () => {
    if (evaluation === undefined || evaluation.metrics === null) throw new Error('it was measured above');
    const abstention = {
      images: 10_000,
      answered: 9500,
      correct: 9025,
      reasons: { unsure: 400, 'too-smooth': 50, 'too-rough': 50 },
      definition: 'ours',
      seed: 1,
      foreign: [{ name: 'drawn shapes', images: 1000, abstained: 400 }],
    };
    const robustness = {
      createdAt: '',
      command: '',
      definition: 'ours',
      seed: 1,
      images: 500,
      correct: 450,
      corruptions: [1, 2].map((severity) => ({ name: 'noise', severity, correct: 400 - 100 * severity })),
    };
    const card = formatModelCard(manifest, { ...evaluation, abstention, robustness });
    expect(card).toContain('it answers 95.00 % (94.56 to 95.41 %); 5.00 % of those answers are wrong, of all ');
    expect(card).toMatch(/drawn shapes \| 1,000 \| 40\.00 % \(/);
    expect(card).toContain('| damage | severity 1 | severity 2 |');
    expect(card).toContain('| noise | 60.00 % | 40.00 % |');
    expect(card).toContain('90.00 % as they are, 50.00 % as the mean of the table');
    expect(formatModelCard(manifest, evaluation)).not.toContain('foreign');
  });

  it('does not change the model', async () => {
    await writeModelCard({ folder, runFolder });
    expect((await readModel(folder)).manifest).toEqual(manifest);
  });

  it('refuses the facts of another run', async () => {
    const other = path.join(root, 'other');
    await mkdir(other);
    for (const file of ['config.json', 'log.jsonl']) {
      await copyFile(path.join(RESULTS, 'first-light-1', file), path.join(other, file));
    }
    await expect(writeModelCard({ folder, runFolder: other })).rejects.toMatchObject({
      code: 'evaluation/mismatch',
      message: expect.stringContaining('is not the run of this model, run '),
    });
    const config = JSON.parse(await readFile(path.join(runFolder, 'config.json'), 'utf8')) as object;
    await copyFile(path.join(runFolder, 'log.jsonl'), path.join(other, 'log.jsonl'));
    await writeFile(path.join(other, 'config.json'), JSON.stringify({ ...config, seed: 8 }));
    await expect(writeModelCard({ folder, runFolder: other })).rejects.toMatchObject({ code: 'evaluation/mismatch' });
  });

  it('says of a model that is not measured that it is not', async () => {
    const bare = path.join(root, 'bare');
    await writeTinyModel(bare);
    const card = await readFile(await writeModelCard({ folder: bare, runFolder: undefined }), 'utf8');
    expect(card).toContain('None yet: `npm run model -- evaluate`.');
    expect(card).toContain('Not recorded; the manifest has the sha256 of the data.');
    expect(card).toContain('| time | not recorded |');
    await expect(writeModelCard({ folder: bare, runFolder })).rejects.toMatchObject({ code: 'evaluation/mismatch' });
  });
});
