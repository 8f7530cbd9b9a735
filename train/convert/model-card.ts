/**
 * `MODEL_CARD.md`: what a model folder is, for people who consider using it. A function of the manifest and the
 * evaluation alone: no figure in it is typed by anybody.
 *
 * The headings follow Mitchell et al. 2019, arXiv:1810.03993.
 */
import path from 'node:path';
import { ProductError } from '../../shared/errors.ts';
import { EVALUATION_FILE } from '../../shared/manifest.ts';
import type {
  AbstentionRecord,
  Evaluation,
  Metrics,
  ModelManifest,
  Robustness,
  TrainingRecord,
} from '../../shared/manifest.ts';
import { reportAbstention, reportRobustness } from '../../shared/evaluation-report.ts';
import { describeClasses } from '../../shared/metrics.ts';
import { buildLayerTable, countParameters } from '../../shared/resnet.ts';
import { formatCount, formatInterval, formatPercent, formatShare } from '../number-text.ts';
import { formatDuration } from '../progress-bar.ts';
import { findTrainingRecord } from '../report/training-record.ts';
import { writeEvaluation } from './evaluate-model.ts';
import { readEvaluation, readManifest } from './read-model.ts';
import { replaceFile } from './write-model.ts';

const MODEL_CARD_FILE = 'MODEL_CARD.md';
const LISTED_CONFUSIONS = 5;

/**
 * Write the card of a model folder and return its path.
 *
 * Errors: those of `readManifest` and `readEvaluation`; `evaluation/mismatch` when `runFolder` is of another run, or
 * there is no evaluation to keep its facts in.
 */
export async function writeModelCard(options: { folder: string; runFolder: string | undefined }): Promise<string> {
  const { folder, runFolder } = options;
  const manifest = await readManifest(folder);
  let evaluation = await readEvaluation(folder, manifest.modelId);
  if (runFolder !== undefined) {
    evaluation = await addTraining(evaluation, manifest, runFolder);
    await writeEvaluation(folder, evaluation);
  }
  const file = path.join(folder, MODEL_CARD_FILE);
  await replaceFile(file, formatModelCard(manifest, evaluation));
  return file;
}

async function addTraining(
  evaluation: Evaluation | undefined,
  { provenance }: ModelManifest,
  runFolder: string,
): Promise<Evaluation> {
  if (evaluation === undefined) {
    throw new ProductError(
      'evaluation/mismatch',
      `there is no ${EVALUATION_FILE} to keep the facts of ${runFolder} in; run "npm run model -- evaluate" first`,
    );
  }
  const training = await findTrainingRecord(runFolder, provenance);
  if (training === undefined) {
    throw new ProductError(
      'evaluation/mismatch',
      `${runFolder} is not the run of this model, ${provenance.run} with the configuration ${provenance.configSha256}, or has no finished epoch; name its folder with --run`,
    );
  }
  return { ...evaluation, training };
}

/** The card as Markdown. */
export function formatModelCard(manifest: ModelManifest, evaluation: Evaluation | undefined): string {
  const metrics = evaluation?.metrics ?? undefined;
  const training = evaluation?.training;
  const dataset = evaluation?.dataset.name ?? training?.dataset;
  const isCifar10 = dataset?.startsWith('CIFAR-10') === true;
  return `${[
    frontMatter(manifest, isCifar10),
    `# ${manifest.name}`,
    'Made by `npm run model -- card` from `manifest.json` and `evaluation.json` beside it; do not edit.',
    describeNetwork(manifest),
    ...describeUse(manifest),
    `## Data\n\n${describeData(dataset, isCifar10, training)}`,
    `## Training\n\n${describeTraining(manifest, training)}`,
    `## Measurements\n\n${describeMeasurements(manifest, evaluation, metrics)}`,
    `## Limits\n\n${describeLimits(manifest, isCifar10)}`,
    `## How to repeat it\n\n${describeCommands(training, evaluation)}`,
    `## Licence\n\nThe weights: ${manifest.licence}. The data has terms of its own, see above.`,
  ].join('\n\n')}\n`;
}

function frontMatter({ licence, isFolded, weightType }: ModelManifest, isCifar10: boolean): string {
  return [
    '---',
    `license: ${licence.toLowerCase()}`,
    'pipeline_tag: image-classification',
    ...(isCifar10 ? ['datasets:', '  - cifar10'] : []),
    'tags:',
    ...['resnet', weightType, ...(isFolded ? ['folded'] : [])].map((tag) => `  - ${tag}`),
    '---',
  ].join('\n');
}

function describeNetwork({ architecture, classNames, preprocess, weightType, modelId, files }: ModelManifest): string {
  const table = buildLayerTable(architecture);
  const { trainable, moving } = countParameters(table);
  const sizeBytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const { block, blocks, widths, residual, shortcut, inputShape } = architecture;
  const form = residual ? `residual, shortcut option ${shortcut}` : 'plain, without shortcuts';
  return toTable(
    ['', ''],
    [
      ['model', `\`${modelId}\``],
      ['network', `${form}, ${block} blocks ${blocks.join(', ')} of widths ${widths.join(', ')}`],
      ['parameters', `${formatCount(trainable)} trained, ${formatCount(moving)} moving statistics`],
      [
        'input',
        `${inputShape.join(' x ')}, \`${preprocess.id}\`, mean ${preprocess.mean.join(' ')}, deviation ${preprocess.std.join(' ')}`,
      ],
      ['answers', classNames.join(', ')],
      ['files', `TensorFlow.js graph model, ${weightType}, ${(sizeBytes / 1e6).toFixed(2)} MB`],
    ],
  );
}

function describeUse({ classNames, architecture }: ModelManifest): string[] {
  const [height, width] = architecture.inputShape;
  return [
    `## Intended use

To learn, teach and test: how a residual network is trained, converted, served and looked into. It takes one picture and
tells which of ${classNames.length} classes fits best.`,
    `## Out of scope

Decisions about people; anything where a wrong answer does harm; pictures of something else than the ${classNames.length} classes;
detail that is lost in ${height} x ${width} pixels. It finds no places of objects and counts none.`,
  ];
}

const CIFAR10_DATA = `CIFAR-10 (Krizhevsky 2009, "Learning multiple layers of features from tiny images"): 60,000 colour pictures of 32 x 32
pixels, 6,000 of each of ten classes, of which 10,000 are the official test set. It is a labelled subset of 80 Million
Tiny Images, which its authors withdrew in 2020 because of offensive labels and pictures; the ten classes here are
animals and vehicles. The pictures were collected with search engines. The authors of CIFAR-10 give no licence file and
ask that the report above is cited; who owns the pictures is not documented. No picture is part of this model.`;

function describeData(dataset: string | undefined, isCifar10: boolean, training: TrainingRecord | undefined): string {
  const images =
    training === undefined
      ? ''
      : `\n\nTrained on ${formatCount(training.images.training)} images; ${formatCount(training.images.validation)} others of the training set were held out for choices.`;
  if (isCifar10) return `${dataset === 'CIFAR-10' ? '' : `${dataset}. `}${CIFAR10_DATA}${images}`;
  const name =
    dataset === undefined
      ? 'Not recorded; the manifest has the sha256 of the data.'
      : `${dataset}: its terms are those of its owner.`;
  return `${name}${images}`;
}

function describeTraining({ provenance }: ModelManifest, training: TrainingRecord | undefined): string {
  const { run, step, epoch, seed, commit, configSha256, dataSha256, engine, hardware } = provenance;
  const start = training?.config['startsFrom'];
  const rows = [
    ['run', `${run}, step ${formatCount(step)}, epoch ${epoch}, seed ${seed}`],
    ['commit', commit ?? 'not recorded'],
    ['engine', engine],
    ['hardware', hardware],
    [
      'time',
      training === undefined
        ? 'not recorded'
        : `${formatDuration(1000 * training.wallSeconds)} (h:mm:ss or m:ss), with evaluation and checkpoints`,
    ],
    [
      'rate',
      training === undefined
        ? 'not recorded'
        : `${training.imagesPerSecond.toFixed(1)} images/s over ${training.epochs} epochs`,
    ],
    ['energy', 'not measured'],
    ['configuration', `sha256 \`${configSha256}\``],
    ['data', `sha256 \`${dataSha256}\``],
  ];
  const parts = [toTable(['', ''], rows)];
  if (start !== undefined && start !== null) {
    parts.push(
      `The run starts from the weights of another one, \`${JSON.stringify(start)}\`; the time above is without that run.`,
    );
  }
  if (training !== undefined) {
    parts.push(`The complete configuration:\n\n\`\`\`json\n${JSON.stringify(training.config, undefined, 2)}\n\`\`\``);
  }
  return parts.join('\n\n');
}

function describeMeasurements(
  { temperature }: ModelManifest,
  evaluation: Evaluation | undefined,
  metrics: Metrics | undefined,
): string {
  if (evaluation === undefined || metrics === undefined) return 'None yet: `npm run model -- evaluate`.';
  const { dataset, runtime, hardware, commit, createdAt, calibration, abstention, robustness, parity } = evaluation;
  const parts = [
    `On the ${dataset.split} set of ${dataset.name}, each of its ${formatCount(metrics.n)} images once, one view, in ${runtime} on ${hardware},
commit ${commit ?? 'not recorded'}, ${createdAt.slice(0, 10)}. In brackets: Wilson intervals (95 %).`,
    toTable(
      ['figure', 'value'],
      [
        [
          'accuracy',
          `${formatPercent(metrics.accuracy)} (${formatInterval(metrics.accuracyInterval)}), n = ${formatCount(metrics.n)}`,
        ],
        ['cross-entropy', `${metrics.loss.toFixed(4)} nats`],
        ['expected calibration error', describeCalibrationError(metrics, calibration)],
        [
          'temperature',
          temperature === 1
            ? '1: the probabilities are not calibrated'
            : `${temperature.toFixed(4)}, fitted on held-out training images`,
        ],
      ],
    ),
    toTable(
      ['class', 'images', 'precision', 'recall', 'F1'],
      describeClasses(metrics).map(({ label, support, precision, recall, f1 }) => [
        label,
        formatCount(support),
        ...[precision, recall, f1].map(formatShare),
      ]),
    ),
    `Most frequent mistakes: ${listConfusions(metrics).join('; ')}.`,
    ...(abstention === undefined ? [] : describeAbstention(abstention, metrics)),
    ...(robustness === undefined ? [] : describeRobustness(robustness)),
    ...parity.map(
      (record) =>
        `On ${formatCount(record.images)} images the logits of ${record.candidate} differ from those of ${record.reference} by at most ${record.maxLogitDifference.toExponential(1)}; ${formatPercent(record.topOneAgreement)} of the answers agree.`,
    ),
  ];
  return parts.join('\n\n');
}

function describeCalibrationError(
  { expectedCalibrationError }: Metrics,
  calibration: Evaluation['calibration'],
): string {
  const before = calibration?.before.expectedCalibrationError;
  const change = before === undefined ? '' : `; ${before.toFixed(4)} without the temperature`;
  return `${expectedCalibrationError.toFixed(4)}, 15 bins${change}`;
}

function describeAbstention(record: AbstentionRecord, metrics: Metrics): string[] {
  const { n, coverage, accuracy, foreign } = reportAbstention(record);
  const [error, answered] = [1 - metrics.accuracy, accuracy === null ? null : 1 - accuracy.value];
  return [
    `It says that it does not know (\`abstain\` in its answers) where it is unsure, or where the picture is smoother or rougher
than those it knows. Of the ${formatCount(n)} test images it answers ${formatShare(coverage)}; ${answered === null ? 'none is answered' : `${formatPercent(answered)} of those answers are wrong, of all ${formatPercent(error)}`}.`,
    toTable(
      ['foreign pictures, our own', 'pictures', 'not answered'],
      foreign.map(({ name, n: drawn, abstained }) => [name, formatCount(drawn), formatShare(abstained)]),
    ),
  ];
}

function describeRobustness(record: Robustness): string[] {
  const { n, clean, mean, corruptions } = reportRobustness(record);
  const names = [...new Set(corruptions.map(({ name }) => name))];
  return [
    `Accuracy on the first ${formatCount(n)} test images, damaged by rules of our own (these are not the figures of CIFAR-10-C):
${formatPercent(clean.value)} as they are, ${formatPercent(mean)} as the mean of the table.`,
    toTable(
      [
        'damage',
        ...[...new Set(corruptions.map(({ severity }) => severity))].map((severity) => `severity ${severity}`),
      ],
      names.map((name) => [
        name,
        ...corruptions.filter((each) => each.name === name).map(({ accuracy }) => formatPercent(accuracy.value)),
      ]),
    ),
  ];
}

function listConfusions({ classes, confusion }: Metrics): string[] {
  const nameOf = (index: number): string => classes[index]?.label ?? '';
  return confusion
    .flatMap((row, label) => row.map((count, answer) => ({ count: label === answer ? 0 : count, label, answer })))
    .filter(({ count }) => count > 0)
    .toSorted((a, b) => b.count - a.count)
    .slice(0, LISTED_CONFUSIONS)
    .map(({ count, label, answer }) => `${count} of ${nameOf(label)} taken for ${nameOf(answer)}`);
}

function describeLimits(manifest: ModelManifest, isCifar10: boolean): string {
  const { classNames, architecture, temperature, abstention } = manifest;
  const [height, width] = architecture.inputShape;
  const limits = [
    `It answers one of the ${classNames.length} classes for every picture, also for a picture of none of them, and often with a high probability${abstention === undefined ? '' : '; `abstain` catches only a part of those'}.`,
    `A picture is cropped to its centre and reduced to ${height} x ${width} pixels: what is small or at the edge is lost.`,
    ...(temperature === 1
      ? ['Its probabilities are not calibrated: read them as an order, and see the calibration error above.']
      : ['Its probabilities are calibrated for pictures like those of the data set, not for others.']),
    'The figures above hold for pictures that are taken and chosen as those of the data set. For photographs, drawings or other crops nothing is measured; expect less.',
    ...(isCifar10
      ? [
          'The test set has some wrong labels (about 0.5 % by Northcutt et al. 2021, arXiv:2103.14749) and near copies of training images (about 3 % by Barz and Denzler 2020, arXiv:1902.00423), so that differences of tenths of a percent say little.',
        ]
      : []),
  ];
  return limits.map((limit) => `- ${limit}`).join('\n');
}

function describeCommands(training: TrainingRecord | undefined, evaluation: Evaluation | undefined): string {
  const train =
    training === undefined || training.command === null
      ? 'No command line is recorded for the training; the configuration is that of the manifest.'
      : `The training, at the commit above:\n\n\`\`\`sh\n${training.command}\n\`\`\``;
  const measure =
    (evaluation?.metrics ?? null) === null
      ? ''
      : '\n\nThe measurements:\n\n```sh\nnpm run model -- evaluate --model DIR   # this folder\n```';
  return `${train}${measure}`;
}

function toTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = [head, head.map(() => '---'), ...rows].map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
  return cells.map((row) => `| ${row.join(' | ')} |`).join('\n');
}
