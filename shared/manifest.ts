/**
 * The contract that a model folder carries: `manifest.json` (what the model is) and `evaluation.json` (what was measured
 * of it). Trainer and server meet here and nowhere else: no code knows the mean, the labels or the layers of a model.
 *
 * A model folder holds `model.json` (a standard TensorFlow.js graph model), its weight shards, and these two files.
 */
import { z } from 'zod';
import { ABSTENTION_REASONS, CERTAINTY_SCORES } from './abstention.ts';
import { architectureSchema, parseArchitecture } from './architecture.ts';
import { ProductError } from './errors.ts';
import { buildLayerTable, INPUT_LAYER, LOGITS_LAYER, PROBABILITIES_LAYER, sizeOf } from './resnet.ts';
import type { LayerTable } from './resnet.ts';
import { sha256Schema } from './sha256.ts';
import { answersSchema } from './test-answers.ts';

export const MANIFEST_VERSION = 1;
export const MANIFEST_FILE = 'manifest.json';
export const EVALUATION_FILE = 'evaluation.json';
export const TOPOLOGY_FILE = 'model.json';
/** A shard is at most this long, so that every platform can store and cache it. */
export const MAX_SHARD_BYTES = 4 * 1024 * 1024;
/** How files become the model's input; names the rules of `shared/image/` and `shared/normalize.ts`. */
export const PREPROCESS_ID = 'centre-crop-triangle-1';

const fileName = z.string().regex(/^[\w-]+(\.[\w-]+)+$/, 'a plain file name is expected');

const preprocessSchema = z.strictObject({
  id: z.literal(PREPROCESS_ID),
  /** Per channel, of pixels / 255. */
  mean: z.array(z.number()).min(1),
  std: z.array(z.number().positive()).min(1),
});

const layerEntrySchema = z.strictObject({
  /** The row's name in the layer table. */
  name: z.string(),
  kind: z.string(),
  /** The graph's node that has exactly this row's values. */
  node: z.string(),
  /** Output shape without the batch. */
  shape: z.array(z.int().positive()),
  /** Trained values of this row alone. */
  parameters: z.int().nonnegative(),
});

const modelFileSchema = z.strictObject({ path: fileName, sizeBytes: z.int().positive(), sha256: sha256Schema });

/** From where on the model's answers count; `abstention.ts` says how. */
export const abstentionRuleSchema = z.strictObject({
  score: z.enum(CERTAINTY_SCORES),
  /** An answer with a lower score is none. */
  threshold: z.number(),
  /** Nor is one to a picture outside of this; the mean difference between neighbouring pixels, 0 to 255. */
  roughness: z.strictObject({ min: z.number().nonnegative(), max: z.number().nonnegative() }),
  /** Share of the validation images that pass both. */
  coverage: z.number().min(0).max(1),
  /** Validation images that they were found on. */
  images: z.int().positive(),
});

export type AbstentionRule = z.infer<typeof abstentionRuleSchema>;

/** Where the weights come from. Free of anything that is measured after training. */
const provenanceSchema = z.strictObject({
  run: z.string(),
  step: z.int().nonnegative(),
  epoch: z.number().nonnegative(),
  seed: z.int(),
  /** Git commit of the trainer, or null outside of a repository. */
  commit: z.string().nullable(),
  configSha256: sha256Schema,
  dataSha256: sha256Schema,
  engine: z.string(),
  hardware: z.string(),
});

export const manifestSchema = z.strictObject({
  formatVersion: z.literal(MANIFEST_VERSION),
  /** sha256 of {@link modelContract}. */
  modelId: sha256Schema,
  /** For people: architecture and run, for example `resnet18.first-light-1`. */
  name: z.string().min(1),
  architecture: architectureSchema,
  classNames: z.array(z.string().min(1)).min(2),
  preprocess: preprocessSchema,
  /** Storage type of the large tensors; small vectors are always float32. */
  weightType: z.enum(['float32', 'float16', 'uint8']),
  /** Whether batch norm is folded into the convolutions; a folded model lacks the `bn` rows. */
  isFolded: z.boolean(),
  layers: z.array(layerEntrySchema).min(1),
  /** `model.json` first, then the shards in order. */
  files: z.array(modelFileSchema).min(2),
  /** Probabilities are softmax(logits / temperature). */
  temperature: z.number().positive(),
  /** Absent: the model answers every picture. */
  abstention: abstentionRuleSchema.exactOptional(),
  provenance: provenanceSchema,
  licence: z.string(),
});

export type ModelManifest = z.infer<typeof manifestSchema>;
export type LayerEntry = z.infer<typeof layerEntrySchema>;
export type ModelFile = z.infer<typeof modelFileSchema>;
export type Provenance = z.infer<typeof provenanceSchema>;

/**
 * Read a manifest from outside.
 *
 * Errors: `model/version` when the format is newer or older, `model/damaged` when anything else is off, also when the
 * layers are not those of the architecture.
 */
export function parseManifest(value: unknown): ModelManifest {
  const version = z.object({ formatVersion: z.unknown() }).safeParse(value);
  if (version.success && version.data.formatVersion !== MANIFEST_VERSION) {
    throw new ProductError(
      'model/version',
      `${MANIFEST_FILE} has format version ${JSON.stringify(version.data.formatVersion)}, this program reads ${MANIFEST_VERSION}; convert the checkpoint again`,
    );
  }
  const parsed = manifestSchema.safeParse(value);
  if (!parsed.success) throw damaged(`is not valid: ${z.prettifyError(parsed.error)}`);
  const manifest = parsed.data;
  checkTask(manifest);
  checkLayers(manifest);
  return manifest;
}

/** Classes, channels and files: what each says must fit the others. */
function checkTask({ architecture, classNames, preprocess, files }: ModelManifest): void {
  parseArchitecture(architecture);
  if (classNames.length !== architecture.classes) {
    throw damaged(`names ${classNames.length} classes for a network with ${architecture.classes}`);
  }
  const twice = findTwice(classNames) ?? findTwice(files.map(({ path }) => path));
  if (twice !== undefined) throw damaged(`lists "${twice}" twice`);
  const channels = architecture.inputShape[2];
  if (preprocess.mean.length !== channels || preprocess.std.length !== channels) {
    throw damaged(
      `has ${preprocess.mean.length} means and ${preprocess.std.length} standard deviations for ${channels} channels`,
    );
  }
}

/** The layers are those of the architecture, in its order; a folded model may lack some and name other nodes. */
function checkLayers({ architecture, layers, isFolded }: ModelManifest): void {
  const rows = listLayerEntries(buildLayerTable(architecture));
  let place = 0;
  for (const entry of layers) {
    const found = rows.findIndex((row, index) => index >= place && row.name === entry.name);
    const row = rows[found];
    const expected = row && (isFolded ? { ...row, node: entry.node, parameters: entry.parameters } : row);
    if (expected === undefined || canonicalJson(entry) !== canonicalJson(expected)) {
      throw damaged(`has a layer "${entry.name}" that its architecture does not have so, or not there`);
    }
    place = found + 1;
  }
  const listed = new Set(layers.map(({ name }) => name));
  const needed = isFolded ? [INPUT_LAYER, LOGITS_LAYER, PROBABILITIES_LAYER] : rows.map(({ name }) => name);
  const missing = needed.find((name) => !listed.has(name));
  if (missing !== undefined) throw damaged(`lacks the layer "${missing}" of its architecture`);
}

function findTwice(names: readonly string[]): string | undefined {
  return names.find((name, index) => names.indexOf(name) !== index);
}

function damaged(problem: string): ProductError {
  return new ProductError('model/damaged', `${MANIFEST_FILE} ${problem}; convert the checkpoint again`);
}

/** The layers of a table as a manifest lists them; the node has the name of the row. */
export function listLayerEntries(table: LayerTable): LayerEntry[] {
  return table.map(({ name, kind, shape, parameters }) => ({
    name,
    kind,
    node: name,
    shape: [...shape],
    parameters: parameters.filter((each) => each.isTrainable).reduce((sum, each) => sum + sizeOf(each.shape), 0),
  }));
}

/**
 * The text whose sha256 is the model's id: everything in the manifest but the id itself, with sorted keys. File hashes
 * are part of it, so the id changes with any bit of the model; nothing that is measured later is.
 */
export function modelContract(manifest: Omit<ModelManifest, 'modelId'>): string {
  const { modelId: _id, ...contract } = manifest as Partial<ModelManifest>;
  return canonicalJson(contract);
}

/** JSON with sorted keys and no white space: equal values give equal texts. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value)
      .filter(([, each]) => each !== undefined)
      .toSorted(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, each]) => `${JSON.stringify(key)}:${canonicalJson(each)}`).join(',')}}`;
  }
  return JSON.stringify(value);
}

const interval = z.tuple([z.number(), z.number()]);

const classReportSchema = z.strictObject({
  label: z.string(),
  support: z.int().nonnegative(),
  precision: z.number().nullable(),
  recall: z.number().nullable(),
  f1: z.number().nullable(),
});

/** Metrics of one model on one labelled set; computed by `metrics.ts`. */
export const metricsSchema = z.strictObject({
  n: z.int().positive(),
  correct: z.int().nonnegative(),
  accuracy: z.number(),
  /** Wilson, 95 %. */
  accuracyInterval: interval,
  /** Mean cross-entropy in nats. */
  loss: z.number(),
  /** Expected calibration error, 15 equal bins of the top probability. */
  expectedCalibrationError: z.number(),
  classes: z.array(classReportSchema),
  /** [true class][predicted class] */
  confusion: z.array(z.array(z.int().nonnegative())),
});

/** A proportion with its Wilson interval at 95 %. */
export const shareSchema = z.object({ value: z.number(), interval });

/** How right the answers of each confidence are; computed by `metrics.ts`. */
const reliabilitySchema = z.strictObject({
  loss: z.number(),
  expectedCalibrationError: z.number(),
  bins: z.array(
    z.strictObject({
      low: z.number(),
      high: z.number(),
      count: z.int().nonnegative(),
      confidence: z.number().nullable(),
      accuracy: shareSchema.nullable(),
    }),
  ),
});

/** The probabilities before and after the temperature. */
export const calibrationSchema = z.strictObject({
  temperature: z.number().positive(),
  before: reliabilitySchema,
  after: reliabilitySchema,
});

/** Right answers to corrupted images. */
const robustnessSchema = z.strictObject({
  createdAt: z.string(),
  command: z.string(),
  /** Names the rules by which images are corrupted. */
  definition: z.string(),
  seed: z.int(),
  /** How many images, the first ones of the test set. */
  images: z.int().positive(),
  /** Right answers to them as they are. */
  correct: z.int().nonnegative(),
  corruptions: z
    .array(z.strictObject({ name: z.string(), severity: z.int().positive(), correct: z.int().nonnegative() }))
    .min(1),
});

/** How often a model with thresholds does not answer. */
const abstentionRecordSchema = z.strictObject({
  /** The whole test set; the counts up to `reasons` are of it. */
  images: z.int().positive(),
  answered: z.int().nonnegative(),
  /** Right answers among those that were given. */
  correct: z.int().nonnegative(),
  /** Images with each sign; one image may have two. */
  reasons: z.record(z.enum(ABSTENTION_REASONS), z.int().nonnegative()),
  /** Names the rules by which foreign pictures are drawn. */
  definition: z.string(),
  seed: z.int(),
  foreign: z.array(z.strictObject({ name: z.string(), images: z.int().positive(), abstained: z.int().nonnegative() })),
});

/** One comparison of two runtimes on the same images. */
export const parityRecordSchema = z.strictObject({
  reference: z.string(),
  candidate: z.string(),
  images: z.int().positive(),
  maxLogitDifference: z.number(),
  /** Standard deviation of the reference's logits, to read the difference by. */
  logitStandardDeviation: z.number(),
  topOneAgreement: z.number(),
  /** Largest absolute difference in each stage. */
  layers: z.array(z.strictObject({ name: z.string(), maxDifference: z.number(), maxValue: z.number() })),
});

/** What training the model took; of the run that the manifest's provenance names. */
const trainingRecordSchema = z.strictObject({
  /** The command line of the run, or null when its configuration has none. */
  command: z.string().nullable(),
  /** The trainer's complete configuration; its hash is the provenance's `configSha256`. */
  config: z.record(z.string(), z.unknown()),
  dataset: z.string(),
  images: z.strictObject({ training: z.int(), validation: z.int() }),
  epochs: z.int().positive(),
  /** With evaluation and checkpoints, without pauses between a stop and a resume. */
  wallSeconds: z.number(),
  /** Over all epochs, without evaluation. */
  imagesPerSecond: z.number(),
});

export const evaluationSchema = z.strictObject({
  formatVersion: z.literal(1),
  modelId: sha256Schema,
  /** ISO 8601 */
  createdAt: z.string(),
  dataset: z.strictObject({ name: z.string(), split: z.string(), sha256: sha256Schema }),
  runtime: z.string(),
  hardware: z.string(),
  commit: z.string().nullable(),
  command: z.string(),
  metrics: metricsSchema.nullable(),
  /** Missing, as are the answers, when an older version measured the model. */
  calibration: calibrationSchema.optional(),
  answers: answersSchema.optional(),
  /** Missing when it was not asked for. */
  robustness: robustnessSchema.optional(),
  /** Missing when the model has no thresholds, or an older version measured it. */
  abstention: abstentionRecordSchema.optional(),
  parity: z.array(parityRecordSchema),
  /** Missing when the folder was made without the run's log, or by an older version. */
  training: trainingRecordSchema.optional(),
});

export type Metrics = z.infer<typeof metricsSchema>;
export type Calibration = z.infer<typeof calibrationSchema>;
export type Robustness = z.infer<typeof robustnessSchema>;
export type AbstentionRecord = z.infer<typeof abstentionRecordSchema>;
export type TrainingRecord = z.infer<typeof trainingRecordSchema>;
export type ParityRecord = z.infer<typeof parityRecordSchema>;
export type Evaluation = z.infer<typeof evaluationSchema>;

/** Read an evaluation of the given model. Errors: `model/damaged`, `evaluation/mismatch` for another model's. */
export function parseEvaluation(value: unknown, modelId: string): Evaluation {
  const parsed = evaluationSchema.safeParse(value);
  if (!parsed.success) {
    throw new ProductError(
      'model/damaged',
      `${EVALUATION_FILE} is not valid: ${z.prettifyError(parsed.error)}; run "npm run model -- evaluate" again`,
    );
  }
  if (parsed.data.modelId !== modelId) {
    throw new ProductError(
      'evaluation/mismatch',
      `${EVALUATION_FILE} is about model ${parsed.data.modelId}, this is ${modelId}; run "npm run model -- evaluate" again`,
    );
  }
  return parsed.data;
}
