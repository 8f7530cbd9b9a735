/**
 * The commands of `npm run model`: flags to one call each; what they do is in the files beside this one.
 *
 * Results are printed, progress and errors reported (standard output and standard error). Exit status: 0, 1 for an
 * error, 2 for a wrong command line.
 */
import { parseArgs } from 'node:util';
import type { ParseArgsOptionsConfig } from 'node:util';
import { NETWORK_NAMES } from '../../shared/architecture.ts';
import { assertModelFits, MODEL_BUDGET_BYTES, PLATFORMS } from '../../shared/engine/memory-budget.ts';
import { ProductError } from '../../shared/errors.ts';
import type { ParityPlan } from './check-parity.ts';
import { convertCheckpoint } from './convert-checkpoint.ts';
import { evaluateModel } from './evaluate-model.ts';
import { readEvaluation, readManifest, readModel } from './read-model.ts';
import { convertToOnnx } from './onnx/convert-to-onnx.ts';
import { formatMemoryPlan, planFolder, planNetwork } from './plan-model.ts';
import { formatEvaluation, formatModel } from './show-model.ts';
import { writeModelCard } from './model-card.ts';
import { DATA_CACHE_FOLDER } from '../download.ts';
import type { Dataset } from '../dataset.ts';
import { ENGINE_CHOICES, startEngine } from '../engine/choose-engine.ts';
import { obtainDatasetFor } from '../obtain-dataset.ts';
import type { ProgressStream } from '../progress-bar.ts';

const TARGETS = ['tfjs', 'onnx'] as const;
const WEIGHT_TYPES = ['float32', 'float16', 'uint8'] as const;
const ENGINE_MODES = ['fast', 'exact'] as const;
const WEIGHTS_GROUPS = ['parameters', 'average'] as const;

/** Where a command writes, and the variables it reads. */
export interface CommandContext {
  print: (text: string) => void;
  report: (line: string) => void;
  /** For progress bars. */
  stream: ProgressStream;
  environment: Readonly<Record<string, string | undefined>>;
}

interface Command {
  summary: string;
  usage: string;
  run: (args: readonly string[], context: CommandContext) => Promise<void>;
}

const CONVERT_USAGE = `npm run model -- convert --checkpoint DIR --out PATH [options]

Writes a checkpoint as a model folder: a standard TensorFlow.js graph model with its manifest. Or as one ONNX file.

  --checkpoint DIR     a checkpoint folder, or a run folder (its latest checkpoint)
  --out PATH           the model folder, or the .onnx file, to make; must not be there yet
  --to FORMAT          tfjs (default) or onnx
  --weights GROUP      parameters or average; the moving average is the default where there is one

Only with --to tfjs:
  --dtype TYPE         float32 (default), float16 or uint8: how the large tensors are stored
  --fold               fold batch norm into the convolutions; the folded layers cannot be looked at any more

Only with --to onnx:
  --layers             every layer is an output, not only logits and probs; runtimes are slower then

Parity: the same test images through the training engine and through the written model. An interrupted comparison goes
on where it was when the same command is given again.
  --data-dir DIR       CIFAR-10, unpacked binary version, or a folder of pictures in class folders; default:
                       CIFAR10_DIR, else CIFAR-10 is downloaded once
  --parity-images N    how many test images (default 1000)
  --engine NAME        ${ENGINE_CHOICES.join(', ')}: the training engine (default auto)
  --no-parity          write the model unchecked`;

const EVALUATE_USAGE = `npm run model -- evaluate --model DIR [options]

Measures a model folder on the complete test set and writes evaluation.json into it: accuracy, calibration, and the
answer to each image, which GET /evaluation and the comparison of two models need.

  --model DIR          a model folder
  --robustness N       also measure the first N test images in every corruption: our own, not CIFAR-10-C
  --data-dir DIR       CIFAR-10, unpacked binary version, or a folder of pictures in class folders; default:
                       CIFAR10_DIR, else CIFAR-10 is downloaded once`;

const SHOW_USAGE = `npm run model -- show --model DIR

Prints what a model folder is: origin, layers with shapes and parameters, measurements.`;

const CHECK_USAGE = `npm run model -- check --model DIR

Verifies a model folder: sizes, hashes, ops, weights, layers, evaluation.`;

const PLAN_USAGE = `npm run model -- plan --model DIR | --network NAME [options]

Prints what a model takes of the edge engine's memory, and whether that is within the budget of a server. Exit status 1
(model/too-large) where it is not.

  --model DIR          a model folder
  --network NAME       or a network before it is trained, on 32 x 32 pictures of 10 classes:
                       ${NETWORK_NAMES.slice(0, 5).join(', ')}, ... as train --network
  --mode MODE          fast (default, as servers are) or exact
  --for PLATFORM       worker (default) or node: whose budget counts`;

const CARD_USAGE = `npm run model -- card --model DIR [--run DIR]

Writes MODEL_CARD.md into a model folder, from its manifest and its evaluation: nothing in it is written by hand.

  --model DIR          a model folder
  --run DIR            the folder of the run it comes from, for a folder that does not have the facts of its training;
                       they are kept in evaluation.json`;

const COMMANDS: ReadonlyMap<string, Command> = new Map([
  ['convert', { summary: 'checkpoint to model folder or ONNX file', usage: CONVERT_USAGE, run: runConvert }],
  ['evaluate', { summary: 'accuracy on the test set', usage: EVALUATE_USAGE, run: runEvaluate }],
  ['show', { summary: 'layers, shapes, parameters', usage: SHOW_USAGE, run: runShow }],
  ['card', { summary: 'model card, from what is measured', usage: CARD_USAGE, run: runCard }],
  ['plan', { summary: 'memory in the edge engine', usage: PLAN_USAGE, run: runPlan }],
  ['check', { summary: 'hashes and structure', usage: CHECK_USAGE, run: runCheck }],
]);

const USAGE = `npm run model -- COMMAND [options]

${[...COMMANDS].map(([name, { summary }]) => `  ${name.padEnd(10)} ${summary}`).join('\n')}

npm run model -- COMMAND --help  shows the options of a command.`;

async function runConvert(args: readonly string[], context: CommandContext): Promise<void> {
  const flags = parseFlags(args, {
    checkpoint: { type: 'string' },
    out: { type: 'string' },
    to: { type: 'string', default: 'tfjs' },
    dtype: { type: 'string' },
    fold: { type: 'boolean' },
    layers: { type: 'boolean' },
    weights: { type: 'string' },
    'data-dir': { type: 'string' },
    'parity-images': { type: 'string' },
    engine: { type: 'string' },
    'no-parity': { type: 'boolean', default: false },
  });
  const target = requireChoice('to', flags['to'], TARGETS);
  const foreign = (target === 'onnx' ? ['dtype', 'fold'] : ['layers']).find((name) => flags[name] !== undefined);
  if (foreign !== undefined) throw usageError(`--${foreign} does nothing with --to ${target}; leave it out`);
  const out = requireFlag(flags, 'out');
  if ((target === 'onnx') !== out.endsWith('.onnx')) {
    throw usageError(`--out ${out} does not fit --to ${target}: an ONNX file, and nothing else, is named *.onnx`);
  }
  const options = {
    checkpoint: requireFlag(flags, 'checkpoint'),
    out,
    weights: flags['weights'] === undefined ? undefined : requireChoice('weights', flags['weights'], WEIGHTS_GROUPS),
    parity: planParity(flags, context),
    report: context.report,
    stream: context.stream,
  };
  if (target === 'onnx') {
    const file = await convertToOnnx({ ...options, hasLayerOutputs: flags['layers'] === true });
    const size = `${(file.sizeBytes / 1e6).toFixed(2)} MB`;
    context.print(`${out}: ${file.name}, ONNX, float32, ${size}\nsha256 ${file.sha256}`);
    return;
  }
  const weightType = requireChoice('dtype', flags['dtype'] ?? 'float32', WEIGHT_TYPES);
  const manifest = await convertCheckpoint({
    ...options,
    form: { weightType, isFolded: flags['fold'] === true },
    command: describeCommand('convert', args),
  });
  context.print(
    `${out}: ${manifest.name}, ${manifest.weightType}, ${manifest.layers.length} layers\nmodel ${manifest.modelId}`,
  );
}

/** Null for an unchecked conversion. */
function planParity(flags: Flags, context: CommandContext): ParityPlan | null {
  const isUnchecked = flags['no-parity'] === true;
  const contradicting = (['data-dir', 'parity-images', 'engine'] as const).find((name) => flags[name] !== undefined);
  if (isUnchecked && contradicting !== undefined) {
    throw usageError(`--no-parity and --${contradicting} contradict each other; leave one out`);
  }
  const images = requireCount('parity-images', flags['parity-images'] ?? '1000');
  const choice = requireChoice('engine', flags['engine'] ?? 'auto', ENGINE_CHOICES);
  if (isUnchecked) {
    context.report('parity is not checked (--no-parity)');
    return null;
  }
  return {
    images,
    obtainData: (model) => obtainData(model, flags, context),
    startEngine: () => startEngine(choice, { precision: 'float32' }),
  };
}

async function runEvaluate(args: readonly string[], context: CommandContext): Promise<void> {
  const flags = parseFlags(args, {
    model: { type: 'string' },
    robustness: { type: 'string' },
    'data-dir': { type: 'string' },
  });
  const folder = requireFlag(flags, 'model');
  const wanted = flags['robustness'];
  const robustnessImages = wanted === undefined ? undefined : requireCount('robustness', wanted);
  const dataset = await obtainData(await readManifest(folder), flags, context);
  context.print(
    formatEvaluation(
      await evaluateModel({
        folder,
        dataset,
        robustnessImages,
        command: describeCommand('evaluate', args),
        stream: context.stream,
      }),
    ),
  );
}

async function runShow(args: readonly string[], context: CommandContext): Promise<void> {
  const folder = requireFlag(parseFlags(args, { model: { type: 'string' } }), 'model');
  const manifest = await readManifest(folder);
  context.print(formatModel(manifest, await readEvaluation(folder, manifest.modelId)));
}

async function runCheck(args: readonly string[], context: CommandContext): Promise<void> {
  const folder = requireFlag(parseFlags(args, { model: { type: 'string' } }), 'model');
  const { manifest, topology } = await readModel(folder);
  const evaluation = await readEvaluation(folder, manifest.modelId);
  const { node: nodes } = topology.modelTopology;
  context.print(
    `${folder} is intact: model ${manifest.modelId}, ${manifest.files.length} files, ${nodes.length} nodes, ${manifest.layers.length} layers, ${evaluation === undefined ? 'no evaluation' : 'evaluation of this model'}`,
  );
}

async function runPlan(args: readonly string[], { print }: CommandContext): Promise<void> {
  const flags = parseFlags(args, {
    model: { type: 'string' },
    network: { type: 'string' },
    mode: { type: 'string', default: 'fast' },
    for: { type: 'string', default: 'worker' },
  });
  const mode = requireChoice('mode', flags['mode'], ENGINE_MODES);
  const platform = requireChoice('for', flags['for'], PLATFORMS);
  if (flags['model'] !== undefined && flags['network'] !== undefined) {
    throw usageError('--model and --network contradict each other; leave one out');
  }
  const { name, plan } =
    flags['network'] === undefined
      ? await planFolder(requireFlag(flags, 'model'), mode)
      : planNetwork(requireChoice('network', flags['network'], NETWORK_NAMES), mode);
  print(formatMemoryPlan(name, plan));
  assertModelFits(name, plan.totalBytes, MODEL_BUDGET_BYTES[platform]);
}

async function runCard(args: readonly string[], { print }: CommandContext): Promise<void> {
  const flags = parseFlags(args, { model: { type: 'string' }, run: { type: 'string' } });
  const runFolder = flags['run'] === undefined ? undefined : requireFlag(flags, 'run');
  print(await writeModelCard({ folder: requireFlag(flags, 'model'), runFolder }));
}

type DatasetUser = Parameters<typeof obtainDatasetFor>[0];

async function obtainData(model: DatasetUser, flags: Flags, { environment, report }: CommandContext): Promise<Dataset> {
  const given = flags['data-dir'] ?? environment['CIFAR10_DIR'];
  const dataDir = typeof given === 'string' ? given : undefined;
  return obtainDatasetFor(model, { dataDir, cacheDir: DATA_CACHE_FOLDER, report });
}

type Flags = Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;

/** Strict: unknown flags and stray words are `cli/usage` errors. */
function parseFlags(args: readonly string[], options: ParseArgsOptionsConfig): Flags {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw usageError(error instanceof Error ? error.message : String(error));
  }
}

function requireFlag(flags: Flags, name: string): string {
  const value = flags[name];
  if (typeof value === 'string' && value !== '') return value;
  throw usageError(`--${name} is missing`);
}

function requireChoice<Choice extends string>(name: string, value: unknown, choices: readonly Choice[]): Choice {
  const choice = choices.find((each) => each === value);
  if (choice !== undefined) return choice;
  throw usageError(`--${name} ${String(value)} is not known; possible: ${choices.join(', ')}`);
}

function requireCount(name: string, value: unknown): number {
  const count = Number(value);
  if (Number.isInteger(count) && count > 0) return count;
  throw usageError(`--${name} ${String(value)} is not a number of images; a positive whole number is expected`);
}

function usageError(message: string): ProductError {
  return new ProductError('cli/usage', message);
}

function describeCommand(command: string, args: readonly string[]): string {
  return ['npm run model --', command, ...args].join(' ');
}

/** Run a command line; returns the exit status. */
export async function runModelCommand(args: readonly string[], context: CommandContext): Promise<number> {
  const { print, report } = context;
  const [name = '', ...rest] = args;
  const command = COMMANDS.get(name);
  if (command === undefined) {
    if (name === '--help' || name === '-h') {
      print(USAGE);
      return 0;
    }
    report(`${name === '' ? 'a command is missing' : `there is no command "${name}"`}\n\n${USAGE}`);
    return 2;
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    print(command.usage);
    return 0;
  }
  try {
    await command.run(rest, context);
    return 0;
  } catch (error) {
    if (!(error instanceof ProductError)) throw error;
    report(`${error.code}: ${error.message}`);
    if (error.code !== 'cli/usage') return 1;
    report(`\n${command.usage}`);
    return 2;
  }
}
