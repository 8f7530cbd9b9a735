/**
 * Model folders for tests: any architecture with seeded random weights through the real converter. The weights are as a
 * trained network's in what matters to arithmetic: He-scaled kernels, and moving statistics that are near those of the
 * activations, so that values neither vanish nor explode in deep networks and no two batch norms are alike.
 */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArchitecture } from '../../shared/architecture.ts';
import type { Architecture } from '../../shared/architecture.ts';
import type { AbstentionRule, ModelManifest } from '../../shared/manifest.ts';
import { buildLayerTable, sizeOf } from '../../shared/resnet.ts';
import type { LayerRow } from '../../shared/resnet.ts';
import { channelPath, DEFAULT_CHANNEL } from '../../shared/store.ts';
import type { Tensor } from '../../train/convert/build-graph.ts';
import { writeModel } from '../../train/convert/write-model.ts';
import type { ModelForm, ModelSource } from '../../train/convert/write-model.ts';
import { createRandom } from '../../train/random.ts';
import type { Random } from '../../train/random.ts';

/** A residual network in miniature: two stages of one basic block, 8x8 images, three classes. */
export function tinyArchitecture(differences: Partial<Architecture> = {}): Architecture {
  return parseArchitecture({
    stem: 'cifar',
    stemChannels: 4,
    block: 'basic',
    blocks: [1, 1],
    widths: [4, 6],
    residual: true,
    shortcut: 'B',
    shortcutVariant: { kind: 'plain' },
    convolutionBias: 'none',
    head: { kind: 'linear' },
    dropout: [],
    inputShape: [8, 8, 3],
    classes: 3,
    ...differences,
  });
}

/** Seeded random parameters of a network, by name. */
export function randomWeights(architecture: Architecture, seed: number): Map<string, Tensor> {
  const weights = new Map<string, Tensor>();
  // Mean square of each row's values, roughly: what its moving statistics must be about.
  const power = new Map<string, number>();
  const random = createRandom(seed);
  for (const row of buildLayerTable(architecture)) {
    const input = row.kind === 'input' ? 1 : row.inputs.reduce((sum, name) => sum + (power.get(name) ?? 0), 0);
    for (const { name, shape, role } of row.parameters) {
      const draw = drawValue(role, shape, input);
      const source = random.fork(name);
      weights.set(name, { shape, values: Float32Array.from({ length: sizeOf(shape) }, () => draw(source)) });
    }
    power.set(row.name, powerAfter(row, input));
  }
  return weights;
}

function drawValue(role: LayerRow['parameters'][number]['role'], shape: readonly number[], power: number) {
  const deviation = Math.sqrt(power);
  const fanIn = sizeOf(shape.slice(0, -1));
  const draws = {
    kernel: (random: Random) => random.nextNormal() * Math.sqrt(2 / fanIn),
    bias: (random: Random) => random.nextNormal() * 0.1,
    gamma: (random: Random) => 1 + random.nextNormal() * 0.1,
    beta: (random: Random) => random.nextNormal() * 0.1,
    movingMean: (random: Random) => random.nextNormal() * 0.1 * deviation,
    movingVariance: (random: Random) => power * (0.8 + 0.4 * random.next()),
  };
  return draws[role];
}

function powerAfter(row: LayerRow, input: number): number {
  if (row.kind === 'conv2d' || row.kind === 'linear') return 2 * input;
  if (row.kind === 'batchNorm') return 1;
  return row.kind === 'relu' ? input / 2 : input;
}

export interface TinyModelOptions extends Partial<ModelForm> {
  architecture?: Architecture;
  seed?: number;
  name?: string;
  classNames?: readonly string[];
  abstention?: AbstentionRule;
}

/** What the converter is given for such a model. */
export function tinyModelSource(options: TinyModelOptions = {}): ModelSource {
  const { architecture = tinyArchitecture(), seed = 1, name = 'tiny.test' } = options;
  return {
    name,
    architecture,
    classNames: options.classNames ?? Array.from({ length: architecture.classes }, (_, index) => `class ${index}`),
    normalization: { mean: [0.4914, 0.48216, 0.44653], std: [0.24703, 0.24349, 0.26159] },
    weights: randomWeights(architecture, seed),
    temperature: 1,
    abstention: options.abstention,
    provenance: {
      run: 'random-weights',
      step: 0,
      epoch: 0,
      seed,
      commit: null,
      configSha256: sha256('no configuration'),
      dataSha256: sha256('no data'),
      engine: 'none',
      hardware: 'none',
    },
    licence: 'Apache-2.0',
  };
}

/** Write a model with random weights to `folder`, which must not exist yet or be empty. */
export async function writeTinyModel(folder: string, options: TinyModelOptions = {}): Promise<ModelManifest> {
  const { weightType = 'float32', isFolded = false } = options;
  return writeModel(tinyModelSource(options), { weightType, isFolded }, folder);
}

export interface ModelFiles {
  modelId: string;
  /** By name. */
  files: Map<string, Uint8Array<ArrayBuffer>>;
}

/** The files of such a model, to be put where the test wants them. */
export async function readTinyFiles(options: TinyModelOptions = {}): Promise<ModelFiles> {
  const folder = await mkdtemp(path.join(tmpdir(), 'resnet18-edge-'));
  const { modelId } = await writeTinyModel(folder, options);
  const files: ModelFiles['files'] = new Map();
  for (const name of await readdir(folder)) files.set(name, new Uint8Array(await readFile(path.join(folder, name))));
  await rm(folder, { recursive: true });
  return { modelId, files };
}

/** Write such a model into a model store and make it the champion of a channel. */
export async function writeTinyStore(
  store: string,
  options: TinyModelOptions & { channel?: string } = {},
): Promise<ModelManifest> {
  await mkdir(store, { recursive: true });
  const staging = await mkdtemp(path.join(store, 'staging-'));
  const manifest = await writeTinyModel(staging, options);
  await rename(staging, path.join(store, manifest.modelId));
  const pointer = path.join(store, channelPath(options.channel ?? DEFAULT_CHANNEL));
  await mkdir(path.dirname(pointer), { recursive: true });
  await writeFile(pointer, `${JSON.stringify({ champion: manifest.modelId, seq: 0, previous: [] }, undefined, 2)}\n`);
  return manifest;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
