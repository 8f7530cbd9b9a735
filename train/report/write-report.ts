/**
 * `<run>/report.html`: a run in one page that needs no network, made from what the run folder keeps, so that it can be
 * made again at any time; and `<run>/curves.svg`, its curves alone.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatCount } from '../number-text.ts';
import { escapeMarkup } from './chart.ts';
import { drawCurves } from './curves.ts';
import { readRun } from './read-run.ts';
import type { RunRecord } from './read-run.ts';
import { describeTrainCommand } from './reproduce.ts';
import * as sections from './sections.ts';
import { REPORT_STYLE } from './style.ts';
import { splitTime } from './time-split.ts';
import { describeTraining } from './training-record.ts';

export const REPORT_FILE = 'report.html';
const CURVES_FILE = 'curves.svg';

/** Make the report of a run folder, finished or not, and return its path. Errors: those of `readRun`. */
export async function writeReport(runFolder: string): Promise<string> {
  const run = await readRun(runFolder);
  const path = join(runFolder, REPORT_FILE);
  await writeFile(path, renderReport(run));
  await writeFile(join(runFolder, CURVES_FILE), drawCurves(run));
  return path;
}

function renderReport(run: RunRecord): string {
  const { test, answers } = run;
  const name = escapeMarkup(run.start?.run ?? run.name);
  const parts = [
    sections.renderCurves(run),
    ...(test === undefined ? [] : [sections.renderTest(test.metrics)]),
    ...(answers === undefined ? [] : [sections.renderCalibration(answers, run), sections.renderMistakes(answers)]),
    sections.renderTime(splitTime(run.events)),
    renderOrigin(run),
  ];
  // The policy makes sure that the page asks nobody for anything.
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>Training run ${name}</title>
<style>${REPORT_STYLE}</style>
</head>
<body>
<main>
<h1>Training run ${name}</h1>
${renderHeadline(run)}
${parts.join('\n')}
</main>
</body>
</html>
`;
}

function renderHeadline({ test, epochs, config, answers }: RunRecord): string {
  if (test === undefined) {
    const done = `${epochs.length} of ${String(config['epochs'])} epochs are done`;
    return `<p class="headline">Not finished: ${escapeMarkup(done)}. The test set is measured once, at the end.</p>`;
  }
  const mirrored =
    test.mirrored === undefined
      ? ''
      : `\n<p>Mean of each image and its mirror image: ${sections.formatAccuracy(test.mirrored)}</p>`;
  const missing =
    answers === undefined
      ? '\n<p class="quiet">The run did not keep its answers: no calibration, no pictures.</p>'
      : '';
  return `<p class="headline">Test accuracy <b>${sections.formatAccuracy(test.metrics)}</b>, loss ${test.metrics.loss.toFixed(4)}</p>${mirrored}${missing}`;
}

function renderOrigin(run: RunRecord): string {
  const { start, config, name } = run;
  const { imagesPerSecond, images } = describeTraining(run) ?? {};
  const command = describeTrainCommand(config, start?.run ?? name);
  const facts = {
    commit: start?.commit ?? 'unknown',
    seed: String(config['seed']),
    engine: start?.engine ?? 'unknown',
    hardware: start?.hardware ?? 'unknown',
    data: start === undefined ? 'unknown' : `${start.dataset}, sha256 ${start.dataSha256}`,
    images:
      images === undefined
        ? 'unknown'
        : `${formatCount(images.training)} training, ${formatCount(images.validation)} validation`,
    rate: imagesPerSecond === undefined ? 'unknown' : `${imagesPerSecond.toFixed(1)} images/s over all epochs`,
  };
  const reproduce =
    command === null
      ? '<p>No preset of this version gives this configuration; the configuration below is complete.</p>'
      : `<p>To repeat it:</p>\n<pre>${escapeMarkup(command)}</pre>`;
  return sections.section(
    'Configuration and origin',
    `${sections.renderFacts(facts)}
${reproduce}
<details><summary>The complete configuration</summary>
<pre>${escapeMarkup(JSON.stringify(config, undefined, 2))}</pre>
</details>`,
  );
}
