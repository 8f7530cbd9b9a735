/** The report of a run in miniature: its figures are held to values that are computed here, from the answers. */
import { copyFile, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { readRun } from '../../../train/report/read-run.ts';
import type { RunRecord } from '../../../train/report/read-run.ts';
import { writeReport } from '../../../train/report/write-report.ts';
import { makeSharedFolder } from '../../support/temporary-folder.ts';
import { reportedDataset, writeTinyReport } from '../../support/tiny-report.ts';

/** Rows of the table with that caption, as texts. */
function readTable(html: string, caption: string): string[][] {
  const [, table = ''] = html.split(`<caption>${caption}`);
  const [body = ''] = (table.split('<tbody>')[1] ?? '').split('</tbody>');
  return body
    .split('</tr>')
    .map((row) => [...row.matchAll(/<t[hd][^>]*>(.*?)<\/t[hd]>/g)].map(([, cell = '']) => cell))
    .filter((cells) => cells.length > 0);
}

/** What the answers say, with nothing of the product: per image the probabilities at a temperature. */
function listProbabilities({ answers }: RunRecord, temperature: number): { label: number; shares: number[] }[] {
  const { logits = new Float32Array(0), labels = new Uint8Array(0) } = answers?.answers ?? {};
  return Array.from(labels, (label, image) => {
    const powers = [0, 1, 2].map((index) => Math.exp((logits[3 * image + index] ?? Number.NaN) / temperature));
    const sum = powers.reduce((a, b) => a + b, 0);
    return { label, shares: powers.map((power) => power / sum) };
  });
}

function largestOf(shares: readonly number[]): number {
  return shares.indexOf(Math.max(...shares));
}

describe('the report of a finished run', () => {
  let folder: string;
  let runFolder: string;
  let html: string;
  let run: RunRecord;
  let output: string;
  let accuracy: number;
  beforeAll(async () => {
    folder = await makeSharedFolder();
    const written = await writeTinyReport(folder);
    ({ runFolder, output } = written);
    accuracy = written.result.test?.accuracy ?? Number.NaN;
    html = await readFile(join(runFolder, 'report.html'), 'utf8');
    run = await readRun(runFolder);
  });

  it('has the confusion matrix and the figures of each class', () => {
    const answers = listProbabilities(run, 1).map(({ label, shares }) => ({ label, answer: largestOf(shares) }));
    expect(answers.map(({ label }) => label)).toEqual([...reportedDataset.test.labels]);
    const count = (label: number, answer: number): number =>
      answers.filter((each) => each.label === label && each.answer === answer).length;
    const confusion = [0, 1, 2].map((label) => [0, 1, 2].map((answer) => count(label, answer)));
    const mistakes = answers.filter(({ label, answer }) => label !== answer).length;
    expect(mistakes).toBeGreaterThan(0);
    expect(accuracy).toBeCloseTo(1 - mistakes / 90, 12);
    expect(html).toContain(`<b>${(100 * accuracy).toFixed(2)} % (95 %: `);
    const { classNames } = reportedDataset;
    expect(readTable(html, 'Confusion matrix')).toEqual(
      confusion.map((row, label) => [classNames[label], ...row.map(String)]),
    );
    const columns = readTable(html, 'Figures of each class').map(([label, images, ...figures]) => [
      label,
      images,
      ...figures.map((figure) => figure.split(' % (')[0]),
    ]);
    const expected = classNames.map((label, index) => {
      const hits = count(index, index);
      const predicted = answers.filter(({ answer }) => answer === index).length;
      const [precision, recall] = [predicted === 0 ? undefined : hits / predicted, hits / 30];
      const f1 = (2 * hits) / (30 + predicted);
      const texts = [precision, recall, f1].map((share) => (share === undefined ? '–' : (100 * share).toFixed(2)));
      return [label, '30', ...texts];
    });
    expect(columns).toEqual(expected);
  });

  it('has loss and calibration error before and after the temperature', () => {
    const temperature = run.calibration?.temperature ?? 1;
    const measure = (at: number): { loss: string; error: string } => {
      const all = listProbabilities(run, at);
      const loss = all.reduce((sum, { label, shares }) => sum - Math.log(shares[label] ?? 0), 0) / all.length;
      const gaps = Array.from({ length: 15 }, () => 0);
      for (const { label, shares } of all) {
        const confidence = Math.max(...shares);
        const bin = Math.min(14, Math.floor(confidence * 15));
        gaps[bin] = (gaps[bin] ?? 0) + confidence - (largestOf(shares) === label ? 1 : 0);
      }
      const error = gaps.reduce((sum, gap) => sum + Math.abs(gap), 0) / all.length;
      return { loss: loss.toFixed(4), error: error.toFixed(4) };
    };
    const [before, after] = [measure(1), measure(temperature)];
    expect(readTable(html, 'Before and after the temperature')).toEqual([
      ['expected calibration error (15 bins)', before.error, after.error],
      ['cross-entropy (nats)', before.loss, after.loss],
    ]);
  });

  it('shows the wrong answers that the network is most sure of', () => {
    const wrong = listProbabilities(run, run.calibration?.temperature ?? 1)
      .map(({ label, shares }, index) => ({ index, label, shares, confidence: Math.max(...shares) }))
      .filter(({ label, shares }) => largestOf(shares) !== label)
      .toSorted((a, b) => b.confidence - a.confidence);
    const shown = [...html.matchAll(/alt="Test image (\d+), labelled (\w+)">\n<b>(\w+)<\/b> ([\d.]+) %/g)];
    const { classNames } = reportedDataset;
    expect(shown.map(([, index, label, answer, percent]) => [Number(index), label, answer, percent])).toEqual(
      wrong
        .slice(0, 24)
        .map(({ index, label, shares, confidence }) => [
          index,
          classNames[label],
          classNames[largestOf(shares)],
          (100 * confidence).toFixed(2),
        ]),
    );
    expect(html.match(/src="data:image\/png;base64,/g)).toHaveLength(Math.min(24, wrong.length));
  });

  it('says where the time went and where the run comes from', () => {
    const parts = readTable(html, 'Where the time went').map(([name = '', , share = '']) => ({
      name: name.replace(/<span.*<\/span>/, ''),
      percent: Number.parseFloat(share),
    }));
    expect(parts.map(({ name }) => name)).toEqual([
      'computation',
      'waiting for data',
      'evaluation',
      'checkpoints, and what the log does not tell',
    ]);
    expect(parts.reduce((sum, { percent }) => sum + percent, 0)).toBeCloseTo(100, 0);
    expect(html).toContain(`bright halves, sha256 ${reportedDataset.sha256}`);
    expect(html).toContain('48 training, 12 validation');
    expect(html).toContain('The finished network is the average of the last parameters: validation accuracy ');
    expect(html).toMatch(/Mean of each image and its mirror image: [\d.]+ % \(95 %: [\d.]+ to [\d.]+ %, n = 90\)/);
    expect(html).toContain('&quot;epochs&quot;: 3');
  });

  it('is made again from the folder, to the last byte', async () => {
    const before = await readdir(runFolder);
    await rm(join(runFolder, 'report.html'));
    expect(await writeReport(runFolder)).toBe(join(runFolder, 'report.html'));
    expect(await readFile(join(runFolder, 'report.html'), 'utf8')).toBe(html);
    expect(await readdir(runFolder)).toEqual(before);
  });

  it('asks nobody for anything', () => {
    expect(html.match(/(?:src|href)="[^"]*"/g)?.every((link) => link.startsWith('src="data:image/png;'))).toBe(true);
    expect(html).not.toMatch(/<script|@import|url\(/);
  });

  it('goes with a line of text for each epoch that ends in a curve', () => {
    const lines = output.split('\n').filter((line) => line.startsWith('epoch '));
    expect(lines.map((line) => /images\/s, waited [\d.]+ % {2}([▁▂▃▄▅▆▇█]+)$/.exec(line)?.[1]?.length)).toEqual([
      1, 2, 3,
    ]);
    expect(output).not.toContain('\u001B');
  });
});

describe('the report of other runs', () => {
  it('says of one that is not finished what it has', async () => {
    const folder = await makeSharedFolder();
    const { runFolder } = await writeTinyReport(folder, { maxSteps: 6 });
    const html = await readFile(await writeReport(runFolder), 'utf8');
    expect(html).toContain('Not finished: 1 of 3 epochs are done.');
    expect(html).not.toContain('Confusion matrix');
    expect(html).toContain('After epoch 1: training loss');
  });

  it('is made without answers for a run of an older version', async () => {
    const folder = await makeSharedFolder();
    const old = join(import.meta.dirname, '../../../train/results/first-light-2');
    const copy = join(folder, 'first-light-2');
    await mkdir(copy);
    for (const file of ['config.json', 'log.jsonl']) await copyFile(join(old, file), join(copy, file));
    const html = await readFile(await writeReport(copy), 'utf8');
    expect(html).toContain('<b>85.66 % (95 %: 84.96 to 86.33 %, n = 10,000)</b>');
    expect(html).toContain('The run did not keep its answers');
    expect(html).toContain('71.0 images/s over all epochs');
    expect(html).toContain('--preset second-cycle --from runs/first-light-1 --out runs/first-light-2');
  });

  it('is refused of a folder that is no run', async () => {
    const folder = await makeSharedFolder();
    await expect(writeReport(folder)).rejects.toMatchObject({ code: 'checkpoint/missing' });
  });
});
