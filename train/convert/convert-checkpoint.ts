/**
 * From a checkpoint to a model folder: choose the weights, write the graph, hold it to the training engine, publish. A
 * model that fails its parity check never gets its name.
 */
import path from 'node:path';
import { architectureOf, NETWORK_NAMES } from '../../shared/architecture.ts';
import type { Architecture } from '../../shared/architecture.ts';
import { ProductError } from '../../shared/errors.ts';
import { canonicalJson } from '../../shared/manifest.ts';
import type { ModelManifest } from '../../shared/manifest.ts';
import { INPUT_LAYER } from '../../shared/resnet.ts';
import { locateCheckpoint, readCheckpoint } from '../checkpoint.ts';
import type { Checkpoint } from '../checkpoint.ts';
import { hashConfig } from '../config.ts';
import type { ProgressStream } from '../progress-bar.ts';
import { findTrainingRecord } from '../report/training-record.ts';
import type { Weights } from './build-graph.ts';
import { compareWithEngine } from './check-parity.ts';
import type { ParityPlan } from './check-parity.ts';
import { describeEvaluation, writeEvaluation } from './evaluate-model.ts';
import { requireParity } from './parity.ts';
import { readModel } from './read-model.ts';
import { loadStockModel } from './run-stock.ts';
import { discardModel, publishModel, stageModel } from './write-model.ts';
import type { ModelForm, ModelSource } from './write-model.ts';

/** Of the weights that our own code trains; the data set's terms are its own. */
const WEIGHTS_LICENCE = 'Apache-2.0';

/** Groups of a checkpoint that can become a model: the trained parameters, or their moving average. */
export type WeightsGroup = 'parameters' | 'average';

/** What is converted, whatever it becomes. */
export interface SourceOptions {
  /** A checkpoint folder, or a run folder: then its latest checkpoint. */
  checkpoint: string;
  /** Undefined: the moving average when the checkpoint has one. */
  weights: WeightsGroup | undefined;
  report: (line: string) => void;
}

export interface ConvertOptions extends SourceOptions {
  out: string;
  form: ModelForm;
  /** Null: write the model unchecked. */
  parity: ParityPlan | null;
  /** The command line, for the record. */
  command: string;
  stream?: ProgressStream;
}

/**
 * Convert a checkpoint.
 *
 * Errors: those of `readSource` and `stageModel`; `parity/failed`, and then nothing is left at `out`.
 */
export async function convertCheckpoint(options: ConvertOptions): Promise<ModelManifest> {
  const { form, out } = options;
  const source = await readSource(options);
  const { staged, manifest } = await stageModel(source, form, out);
  try {
    if (options.parity !== null) await checkModel({ ...options, parity: options.parity, staged, source });
    await publishModel(staged, out);
  } catch (error) {
    await discardModel(staged);
    throw error;
  }
  return manifest;
}

async function checkModel(
  options: ConvertOptions & { parity: ParityPlan; staged: string; source: ModelSource },
): Promise<void> {
  const { parity, staged, form, command } = options;
  const dataset = await parity.obtainData(options.source);
  const model = await readModel(staged);
  const { manifest } = model;
  const record = await compareWithEngine({
    ...options,
    dataset,
    startCandidate: () => loadStockModel(model),
    candidateId: manifest.modelId,
    layers: manifest.layers.map(({ name }) => name).filter((name) => name !== INPUT_LAYER),
  });
  requireParity(record, form.weightType);
  const runtime = record.candidate;
  const runFolder = path.dirname(path.resolve(await locateCheckpoint(options.checkpoint)));
  const training = await findTrainingRecord(runFolder, manifest.provenance);
  await writeEvaluation(
    staged,
    await describeEvaluation({ manifest, dataset, runtime, command, measurement: null, parity: [record], training }),
  );
}

/** Read a checkpoint as the source of a model. Errors: those of `locateCheckpoint`, `readCheckpoint`, `selectWeights`. */
export async function readSource({ checkpoint, weights, report }: SourceOptions): Promise<ModelSource> {
  const folder = await locateCheckpoint(checkpoint);
  if (folder !== checkpoint) report(`using ${folder}, the latest checkpoint of the run`);
  const found = await readCheckpoint(folder);
  return describeSource(found, selectWeights(found, weights, report));
}

/**
 * The weights to convert. An average may hold only the trained parameters; the moving statistics are then the run's.
 *
 * Errors: `checkpoint/mismatch` when the wanted group is not there.
 */
export function selectWeights(
  { groups }: Checkpoint,
  wanted: WeightsGroup | undefined,
  report: (line: string) => void,
): Weights {
  const group = wanted ?? (groups.has('average') ? 'average' : 'parameters');
  const parameters = groups.get('parameters');
  const chosen = groups.get(group);
  if (parameters === undefined || chosen === undefined) {
    throw new ProductError(
      'checkpoint/mismatch',
      `the checkpoint has no group "${parameters === undefined ? 'parameters' : group}" but ${[...groups.keys()].join(', ')}; choose another one with --weights`,
    );
  }
  report(group === 'average' ? 'using the moving average of the weights' : 'using the weights of the last update');
  return new Map([...parameters, ...chosen]);
}

function describeSource({ header }: Checkpoint, weights: Weights): ModelSource {
  const { run, step, epoch, seed, commit, dataSha256, engine, hardware, architecture } = header;
  const configSha256 = hashConfig(header.config);
  return {
    name: `${nameNetwork(architecture)}.${run}`,
    architecture,
    classNames: header.classNames,
    normalization: header.normalization,
    weights,
    temperature: header.calibration?.temperature ?? 1,
    abstention: header.calibration?.abstention,
    provenance: { run, step, epoch, seed, commit, configSha256, dataSha256, engine, hardware },
    licence: WEIGHTS_LICENCE,
  };
}

/** The literature's name of an architecture, or `custom`. */
function nameNetwork(architecture: Architecture): string {
  const { classes, inputShape } = architecture;
  const wanted = canonicalJson(architecture);
  const isWanted = (name: (typeof NETWORK_NAMES)[number]): boolean =>
    canonicalJson(architectureOf(name, { classes, inputShape })) === wanted;
  return NETWORK_NAMES.find(isWanted) ?? 'custom';
}
