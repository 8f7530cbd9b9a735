/**
 * Checkpoints: everything a run needs to continue bit for bit, in `<run>/checkpoint-<step>/`.
 *
 *     checkpoint.json   the header, and where each tensor lies
 *     tensors.bin       float32, little-endian, one tensor after the other
 *
 * A checkpoint is written into a folder of another name, synced and renamed: a folder with the right name is complete,
 * at whatever moment the writer was killed. One writer per run folder. What the tensors mean is the loop's business.
 */
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { architectureSchema } from '../shared/architecture.ts';
import { ProductError } from '../shared/errors.ts';
import { abstentionRuleSchema } from '../shared/manifest.ts';
import { sizeOf } from '../shared/resnet.ts';
import { sha256Schema } from '../shared/sha256.ts';

export const CHECKPOINT_FORMAT_VERSION = 1;
export const CHECKPOINT_FILE = 'checkpoint.json';
export const TENSORS_FILE = 'tensors.bin';

export interface CheckpointTensor {
  shape: readonly number[];
  values: Float32Array;
}

const count = z.int().nonnegative();

const change = z.strictObject({ before: z.number(), after: z.number() });

const calibrationSchema = z.strictObject({
  /** Null: it could not be told. */
  temperature: z.number().positive().nullable(),
  /** Validation images that it was fitted on, and that the other numbers are of. */
  images: count,
  loss: change,
  expectedCalibrationError: change,
  /** Absent: the images are too few to tell it, or the checkpoint is older than thresholds. */
  abstention: abstentionRuleSchema.exactOptional(),
});

/** How probabilities of the finished network are made honest; `calibrate.ts` computes it. */
export type Calibration = z.infer<typeof calibrationSchema>;

const headerSchema = z.strictObject({
  formatVersion: z.literal(CHECKPOINT_FORMAT_VERSION),
  run: z.string(),
  /** Updates done. */
  step: count,
  /** Completed epochs. */
  epoch: count,
  /** Updates done inside the current epoch. */
  stepInEpoch: count,
  /** Sums over the current epoch so far. */
  meters: z.strictObject({
    images: count,
    /** Of their weights; absent in older checkpoints, whose images all count the same. */
    weight: z.number().nonnegative().exactOptional(),
    /** Of the weights of those that were right: a whole number where all images count the same. */
    correct: z.number().nonnegative(),
    /** Weighted. */
    lossSum: z.number(),
    durationMs: z.number().nonnegative(),
  }),
  seed: z.int(),
  /** The complete training configuration; `config.ts` parses it. */
  config: z.unknown(),
  architecture: architectureSchema,
  classNames: z.array(z.string()),
  normalization: z.strictObject({ mean: z.array(z.number()), std: z.array(z.number()) }),
  dataset: z.string(),
  dataSha256: sha256Schema,
  engine: z.string(),
  hardware: z.string(),
  commit: z.string().nullable(),
  /** How the engine computes what it could compute in several ways; a resumed run goes on with the same. */
  formulations: z.record(z.string(), z.string()).optional(),
  /** One entry per finished epoch. */
  history: z.array(z.unknown()),
  /** Of a finished run that has held images out. */
  calibration: calibrationSchema.optional(),
});

const storageSchema = z.strictObject({
  sizeBytes: count,
  sha256: sha256Schema,
  /** Group -> tensor -> shape; the order is the order in the file. */
  groups: z.record(z.string(), z.record(z.string(), z.array(count))),
});

const fileSchema = z.strictObject({ header: headerSchema, tensors: storageSchema });

type ParsedHeader = z.infer<typeof headerSchema>;

/** What a checkpoint says about itself; `classNames` and the like may be read-only lists. */
export type CheckpointHeader = Omit<ParsedHeader, 'classNames' | 'normalization' | 'history'> & {
  classNames: readonly string[];
  normalization: { mean: readonly number[]; std: readonly number[] };
  history: readonly unknown[];
};

export interface Checkpoint {
  header: CheckpointHeader;
  /** For example `parameters`, `velocity` -> tensor name -> tensor. */
  groups: ReadonlyMap<string, ReadonlyMap<string, CheckpointTensor>>;
}

/** Folders that are being written or deleted; a killed writer leaves them, `pruneCheckpoints` sweeps them up. */
const TEMPORARY_PREFIX = '.checkpoint-';

function temporaryFolder(runFolder: string): string {
  return join(runFolder, `${TEMPORARY_PREFIX}${randomUUID()}`);
}

/** Write a checkpoint, make it durable, and return its folder. The same step again replaces the former one. */
export async function writeCheckpoint(runFolder: string, checkpoint: Checkpoint): Promise<string> {
  const parsed = headerSchema.safeParse(checkpoint.header);
  if (!parsed.success) throw new Error(`internal: not a checkpoint header: ${z.prettifyError(parsed.error)}`);
  const header = parsed.data;
  const folder = join(runFolder, `checkpoint-${header.step}`);
  const temporary = temporaryFolder(runFolder);
  await mkdir(temporary, { recursive: true });
  try {
    const tensors = await writeTensors(join(temporary, TENSORS_FILE), checkpoint.groups);
    await writeSynced(join(temporary, CHECKPOINT_FILE), `${JSON.stringify({ header, tensors }, null, 1)}\n`);
    await syncFolder(temporary);
    await discard(folder);
    await rename(temporary, folder);
    await syncFolder(runFolder);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
  return folder;
}

async function writeTensors(path: string, groups: Checkpoint['groups']): Promise<z.infer<typeof storageSchema>> {
  const hash = createHash('sha256');
  const shapes: Record<string, Record<string, number[]>> = {};
  let sizeBytes = 0;
  const file = await open(path, 'wx');
  try {
    for (const [group, tensors] of groups) {
      const groupShapes: Record<string, number[]> = {};
      shapes[group] = groupShapes;
      for (const [name, { shape, values }] of tensors) {
        if (values.length !== sizeOf(shape)) {
          throw new Error(`internal: ${group} ${name} has ${values.length} values for shape [${shape.join(', ')}]`);
        }
        const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
        hash.update(bytes);
        await file.writeFile(bytes);
        groupShapes[name] = [...shape];
        sizeBytes += bytes.length;
      }
    }
    await file.sync();
  } finally {
    await file.close();
  }
  return { sizeBytes, sha256: hash.digest('hex'), groups: shapes };
}

async function writeSynced(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Make the names in a folder durable; where folders cannot be opened (Windows) the system does it by itself. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/** Delete a checkpoint, if there is one, so that no half-deleted folder ever has a checkpoint's name. */
async function discard(folder: string): Promise<void> {
  const aside = temporaryFolder(dirname(folder));
  try {
    await rename(folder, aside);
  } catch (error) {
    if (isNotFound(error)) return;
    throw error;
  }
  await rm(aside, { recursive: true });
}

function isNotFound(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

/**
 * Read a checkpoint.
 *
 * Memory   each tensor gets an array of its own
 * Errors   `checkpoint/missing` when a file is not there; `checkpoint/damaged`, with the file's name, when its size,
 *          hash or content is wrong; `checkpoint/mismatch` for another format version
 */
export async function readCheckpoint(folder: string): Promise<Checkpoint> {
  const headerPath = join(folder, CHECKPOINT_FILE);
  const { header, tensors } = parseCheckpointFile((await readRequired(headerPath)).toString('utf8'), headerPath);

  const path = join(folder, TENSORS_FILE);
  const bytes = await readRequired(path);
  if (bytes.length !== tensors.sizeBytes) {
    throw damaged(path, `got ${bytes.length} bytes, expected ${tensors.sizeBytes}`);
  }
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  if (sha256 !== tensors.sha256) throw damaged(path, `its sha256 is ${sha256}, expected ${tensors.sha256}`);

  const groups = new Map<string, Map<string, CheckpointTensor>>();
  let offset = 0;
  for (const [group, shapes] of Object.entries(tensors.groups)) {
    const members = new Map<string, CheckpointTensor>();
    groups.set(group, members);
    for (const [name, shape] of Object.entries(shapes)) {
      const values = new Float32Array(sizeOf(shape));
      const source = bytes.subarray(offset, offset + values.byteLength);
      if (source.length !== values.byteLength)
        throw damaged(headerPath, `${group} ${name} ends behind ${TENSORS_FILE}`);
      new Uint8Array(values.buffer).set(source);
      members.set(name, { shape, values });
      offset += values.byteLength;
    }
  }
  if (offset !== bytes.length) throw damaged(headerPath, `its tensors cover ${offset} of ${bytes.length} bytes`);
  return { header, groups };
}

function parseCheckpointFile(text: string, path: string): z.infer<typeof fileSchema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw damaged(path, 'it is not JSON', cause);
  }
  const versioned = z.object({ header: z.object({ formatVersion: z.unknown() }) }).safeParse(value);
  if (versioned.success && versioned.data.header.formatVersion !== CHECKPOINT_FORMAT_VERSION) {
    throw new ProductError(
      'checkpoint/mismatch',
      `${path} has format version ${JSON.stringify(versioned.data.header.formatVersion)}, this program reads ${CHECKPOINT_FORMAT_VERSION}; continue with the program that wrote it`,
    );
  }
  const parsed = fileSchema.safeParse(value);
  if (!parsed.success) throw damaged(path, z.prettifyError(parsed.error));
  return parsed.data;
}

async function readRequired(path: string): Promise<Buffer<ArrayBuffer>> {
  try {
    return await readFile(path);
  } catch (cause) {
    if (!isNotFound(cause)) throw cause;
    throw new ProductError(
      'checkpoint/missing',
      `there is no ${path}; give a folder checkpoint-<step> that the training has written`,
      { cause },
    );
  }
}

function damaged(path: string, fact: string, cause?: unknown): ProductError {
  return new ProductError('checkpoint/damaged', `${path} is damaged: ${fact}; use another checkpoint of the run`, {
    cause,
  });
}

/** The checkpoint of the highest step, complete by construction; undefined when the run has none. */
export async function findLatestCheckpoint(runFolder: string): Promise<string | undefined> {
  const steps = await listSteps(runFolder);
  const latest = steps.at(-1);
  return latest === undefined ? undefined : join(runFolder, `checkpoint-${latest}`);
}

/** The checkpoint folder itself, or the latest one of a run folder. Errors: `checkpoint/missing`. */
export async function locateCheckpoint(folder: string): Promise<string> {
  const isCheckpoint = await stat(join(folder, CHECKPOINT_FILE)).then(
    () => true,
    () => false,
  );
  const found = isCheckpoint ? folder : await findLatestCheckpoint(folder);
  if (found !== undefined) return found;
  throw new ProductError(
    'checkpoint/missing',
    `${folder} is neither a checkpoint nor a run folder with one; name a folder checkpoint-<step> or the run folder above it`,
  );
}

/** Delete all but the `keep` latest checkpoints, and what killed writers have left. */
export async function pruneCheckpoints(runFolder: string, options: { keep: number }): Promise<void> {
  if (!(options.keep >= 1)) throw new RangeError(`internal: a run that keeps ${options.keep} checkpoints`);
  const steps = await listSteps(runFolder);
  for (const step of steps.slice(0, -options.keep)) await discard(join(runFolder, `checkpoint-${step}`));
  for (const name of await readdir(runFolder)) {
    if (name.startsWith(TEMPORARY_PREFIX)) await rm(join(runFolder, name), { recursive: true, force: true });
  }
}

/** Steps of the checkpoints in a run folder, in order; none when the folder does not exist. */
async function listSteps(runFolder: string): Promise<number[]> {
  let names: string[];
  try {
    names = await readdir(runFolder);
  } catch (error) {
    if (isNotFound(error)) return [];
    throw error;
  }
  return names
    .flatMap((name) => /^checkpoint-(?<step>\d+)$/.exec(name)?.groups?.['step'] ?? [])
    .map(Number)
    .toSorted((a, b) => a - b);
}
