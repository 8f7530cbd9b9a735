/** `npm run train`: flags to one run. Kept short on purpose; what training is, is in `loop.ts`. */
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { ParseArgsOptionsConfig } from 'node:util';
import { ProductError } from '../shared/errors.ts';
import { parseTrainConfig } from './config.ts';
import type { TrainConfig } from './config.ts';
import { DATA_CACHE_FOLDER, obtainCifar10 } from './download.ts';
import { ENGINE_CHOICES, startEngine } from './engine/choose-engine.ts';
import type { EngineChoice } from './engine/choose-engine.ts';
import type { Engine } from './engine/engine.ts';
import { readFormulations } from './engine/formulations.ts';
import { exportImages } from './export-images.ts';
import { trainAndEvaluate } from './loop.ts';
import { obtainDataset } from './obtain-dataset.ts';
import { presetOf, PRESET_NAMES } from './presets.ts';
import { REPORT_FILE, writeReport } from './report/write-report.ts';
import { assertRunFolderFree, readRunConfig } from './run-folder.ts';
import { assertSameSplit, readStartPoint } from './start-point.ts';
import type { StartPoint } from './start-point.ts';

const USAGE = `usage: npm run train -- --preset NAME --out runs/NAME [options]
       npm run train -- --resume --out runs/NAME [options]
       npm run train -- report --out runs/NAME
       npm run train -- export --classes NAME,NAME --out DIR [--data-dir DIR]

  --preset NAME       ${PRESET_NAMES.join(', ')}
  --from DIR          start from the parameters of this run, checkpoint or model folder instead of random ones
  --out DIR           run folder; must not exist, unless --resume is given
  --data-dir DIR      unpacked CIFAR-10 binary batches (or CIFAR10_DIR), or pictures: DIR/CLASS/*, a fifth of each class
                      for the test, or DIR/train/CLASS/* and DIR/test/CLASS/*; without it CIFAR-10 is downloaded once
  --image-size N      of pictures: cropped to their centre and resized to N x N; normalised by mean and deviation
  --engine NAME       ${ENGINE_CHOICES.join(', ')} (default auto)
  --precision NAME    float32, bfloat16 (default: the preset's)
  --formulations WHICH  measured (default): the fastest way to compute each convolution; default: TensorFlow's own ops;
                      or a JSON file as the object "chosen" in a log
  --epochs N, --seed N, --batch-size N, --network NAME, --validation-images N    instead of the preset's
  --max-steps N       stop after N updates in all, with a checkpoint
  --resume            continue the run in --out

report makes the report.html of a run again, also of one that is not finished.

export writes classes of CIFAR-10 as a folder of pictures, for example for the preset cifar2:
  npm run train -- export --classes airplane,bird --out data/cifar2
  npm run train -- --preset cifar2 --data-dir data/cifar2 --out runs/cifar2
`;

const OPTIONS = {
  preset: { type: 'string' },
  from: { type: 'string' },
  out: { type: 'string' },
  'data-dir': { type: 'string' },
  engine: { type: 'string', default: 'auto' },
  precision: { type: 'string' },
  formulations: { type: 'string' },
  epochs: { type: 'string' },
  seed: { type: 'string' },
  'batch-size': { type: 'string' },
  network: { type: 'string' },
  'image-size': { type: 'string' },
  'validation-images': { type: 'string' },
  'max-steps': { type: 'string' },
  resume: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

const EXPORT_OPTIONS = {
  classes: { type: 'string' },
  out: { type: 'string' },
  'data-dir': { type: 'string' },
} as const;

type ParsedFlags<Options extends ParseArgsOptionsConfig> = ReturnType<
  typeof parseArgs<{ options: Options; strict: true }>
>['values'];

function readFlags<Options extends ParseArgsOptionsConfig>(
  args: readonly string[],
  options: Options,
): ParsedFlags<Options> {
  try {
    return parseArgs({ args: [...args], options, strict: true }).values;
  } catch (error) {
    throw new ProductError('cli/usage', error instanceof Error ? error.message : String(error), { cause: error });
  }
}

type Flags = ParsedFlags<typeof OPTIONS>;

async function configOf(flags: Flags, runFolder: string, start: StartPoint | undefined): Promise<TrainConfig> {
  const changes: Record<string, unknown> = {};

  if (flags.epochs !== undefined) changes['epochs'] = wholeNumber('epochs', flags.epochs);
  if (flags.seed !== undefined) changes['seed'] = wholeNumber('seed', flags.seed);
  if (flags['batch-size'] !== undefined) changes['batchSize'] = wholeNumber('batch-size', flags['batch-size']);
  if (flags.network !== undefined) changes['network'] = flags.network;
  if (flags.precision !== undefined) changes['precision'] = flags.precision;
  if (flags['validation-images'] !== undefined) changes['validationImages'] = Number(flags['validation-images']);
  if (flags['image-size'] !== undefined) {
    changes['imageFolder'] = { size: Number(flags['image-size']), normalization: 'measured' };
  }
  if (flags.resume) {
    const given = [
      ...Object.keys(changes),
      ...(['preset', 'from'] as const).filter((name) => flags[name] !== undefined),
    ];
    if (given.length > 0) {
      throw new ProductError(
        'cli/usage',
        `--resume continues a run with its own configuration; leave out ${given.join(', ')}`,
      );
    }
    return readRunConfig(runFolder);
  }
  if (flags.preset === undefined) throw new ProductError('cli/usage', 'name a preset with --preset, or add --resume');
  if (start !== undefined) changes['startsFrom'] = start.startsFrom;
  return parseTrainConfig({ ...presetOf(flags.preset), ...changes });
}

/** Errors: `cli/usage`, those of {@link readFormulations}. */
async function pinFormulations(engine: Engine, { formulations, resume }: Flags): Promise<void> {
  if (formulations === undefined) return;
  if (resume) {
    throw new ProductError(
      'cli/usage',
      '--resume goes on with the formulations of its checkpoint; leave out --formulations',
    );
  }
  if (formulations === 'default' || formulations === 'measured') return;
  if (engine.formulations === undefined) {
    throw new ProductError(
      'cli/usage',
      `the ${engine.name} engine has one way to compute each; leave out --formulations`,
    );
  }
  engine.formulations.pin(await readFormulations(resolve(formulations)));
}

function wholeNumber(flag: string, text: string): number {
  if (/^[1-9]\d*$/.test(text)) return Number(text);
  throw new ProductError('cli/usage', `--${flag} is "${text}"; a whole number above 0 is expected`);
}

function engineChoice(name: string): EngineChoice {
  const choice = ENGINE_CHOICES.find((each) => each === name);
  if (choice !== undefined) return choice;
  throw new ProductError('cli/usage', `there is no engine "${name}"; choose one of ${ENGINE_CHOICES.join(', ')}`);
}

/** Ctrl-C once: finish the step and write a checkpoint. Twice: leave at once. */
function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  const interrupt = (): void => {
    if (controller.signal.aborted) process.exit(130);
    process.stderr.write('\ninterrupted: finishing the step and writing a checkpoint; again to leave at once\n');
    controller.abort();
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  return controller.signal;
}

function report(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function runExport(args: readonly string[]): Promise<void> {
  const { classes, out, 'data-dir': dataDir = process.env['CIFAR10_DIR'] } = readFlags(args, EXPORT_OPTIONS);
  if (classes === undefined || out === undefined) {
    throw new ProductError('cli/usage', 'name the classes with --classes and the folder with --out');
  }
  const dataset = await obtainCifar10({ cacheDir: DATA_CACHE_FOLDER, report, dataDir });
  const { training, test } = await exportImages(dataset, { classNames: classes.split(','), folder: resolve(out) });
  process.stdout.write(`${out}: ${training} training and ${test} test pictures\n`);
}

async function runReport(args: readonly string[]): Promise<void> {
  const { out } = readFlags(args, { out: { type: 'string' } });
  if (out === undefined || out === '') throw new ProductError('cli/usage', 'name the run folder with --out');
  process.stdout.write(`${await writeReport(resolve(out))}\n`);
}

async function main(): Promise<void> {
  const [command, ...rest] = process.argv.slice(2);
  if (command === 'export') return runExport(rest);
  if (command === 'report') return runReport(rest);
  const flags = readFlags(process.argv.slice(2), OPTIONS);
  if (flags.help) {
    process.stdout.write(USAGE);
    return;
  }
  for (const [name, value] of Object.entries(flags)) {
    if (value === '') throw new ProductError('cli/usage', `--${name} is empty; give it a value or leave it out`);
  }
  if (flags.out === undefined) throw new ProductError('cli/usage', 'name the run folder with --out');
  const maxSteps = flags['max-steps'] === undefined ? undefined : wholeNumber('max-steps', flags['max-steps']);
  const choice = engineChoice(flags.engine);
  const runFolder = resolve(flags.out);
  const start = flags.from === undefined ? undefined : await readStartPoint(flags.from);
  const config = await configOf(flags, runFolder, start);
  if (!flags.resume) await assertRunFolderFree(runFolder);
  const engine = await startEngine(choice, {
    precision: config.precision,
    formulations: flags.formulations === 'default' ? 'default' : 'measured',
  });
  await pinFormulations(engine, flags);
  report(`engine: ${engine.device}`);
  if (engine.advice !== undefined) report(engine.advice);

  const dataDir = flags['data-dir'] ?? process.env['CIFAR10_DIR'];
  const { imageFolder } = config;
  const dataset = await obtainDataset({ cacheDir: DATA_CACHE_FOLDER, report, dataDir, imageFolder });
  report(`data: ${dataset.name}, ${dataset.training.count} training and ${dataset.test.count} test images`);

  if (start !== undefined) assertSameSplit(start, config, dataset.sha256);
  const result = await trainAndEvaluate({
    config,
    dataset,
    engine,
    runFolder,
    isResumed: flags.resume,
    signal: interruptSignal(),
    ...(maxSteps === undefined ? {} : { maxSteps }),
    ...(start === undefined ? {} : { startParameters: start.parameters }),
  });
  if (result.test === null) {
    report(`stopped; continue with: npm run train -- --resume --out ${flags.out}`);
    return;
  }
  const { accuracy, accuracyInterval, n } = result.test;
  const [low, high] = accuracyInterval.map((bound) => (100 * bound).toFixed(2));
  process.stdout.write(`test accuracy ${(100 * accuracy).toFixed(2)} % (95 %: ${low} to ${high}, n = ${n})\n`);
  process.stdout.write(`checkpoint: ${result.checkpoint}\nreport: ${join(runFolder, REPORT_FILE)}\n`);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof ProductError)) throw error;
  process.stderr.write(`${error.code}: ${error.message}\n`);
  if (error.code === 'cli/usage') process.stderr.write(`\n${USAGE}`);
  process.exitCode = error.code === 'cli/usage' ? 2 : 1;
}
