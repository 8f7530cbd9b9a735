/** What a run folder tells of its run: configuration, log and test answers, checked and put in order. */
import { readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { ProductError } from '../../shared/errors.ts';
import { metricsSchema } from '../../shared/manifest.ts';
import { CONFIG_FILE } from '../run-folder.ts';
import { readEvents } from '../run-log.ts';
import type { LoggedEvent } from '../run-log.ts';
import { readTestAnswers } from './test-answers.ts';
import type { TestAnswers } from './test-answers.ts';

const change = z.object({ before: z.number(), after: z.number() });

const SCHEMAS = {
  start: z.object({
    time: z.string(),
    event: z.enum(['start', 'resume']),
    run: z.string(),
    seed: z.number(),
    dataset: z.string(),
    dataSha256: z.string(),
    commit: z.string().nullable(),
    hardware: z.string(),
    engine: z.string(),
    images: z.object({ training: z.int(), validation: z.int() }),
  }),
  steps: z.object({
    event: z.literal('steps'),
    step: z.int(),
    learningRate: z.number(),
    loss: z.number(),
    accuracy: z.number(),
    images: z.int(),
    /** Both are missing in logs of older versions. */
    durationSeconds: z.number().optional(),
    waitSeconds: z.number().optional(),
  }),
  epoch: z.object({
    event: z.literal('epoch'),
    epoch: z.int(),
    step: z.int(),
    learningRate: z.number(),
    training: z.object({ loss: z.number(), accuracy: z.number() }),
    validation: z.object({ n: z.int(), accuracy: z.number(), loss: z.number() }).nullable(),
    durationSeconds: z.number(),
    imagesPerSecond: z.number(),
  }),
  average: z.object({
    event: z.literal('average'),
    validation: z.object({ n: z.int(), accuracy: z.number(), loss: z.number() }),
  }),
  calibration: z.object({
    event: z.literal('calibration'),
    temperature: z.number().nullable(),
    images: z.int(),
    loss: change,
    expectedCalibrationError: change,
  }),
  test: z.object({
    event: z.literal('test'),
    step: z.int(),
    metrics: metricsSchema,
    /** Of the mean answer to each image and its mirror image; not every run has it. */
    mirrored: metricsSchema.optional(),
  }),
} as const;

export type StepsRecord = z.infer<(typeof SCHEMAS)['steps']>;
export type EpochFigures = z.infer<(typeof SCHEMAS)['epoch']>;

export interface RunRecord {
  /** The folder's name. */
  name: string;
  /** As `config.json` has it; not parsed, because older runs lack newer keys. */
  config: Readonly<Record<string, unknown>>;
  /** All events, oldest first. */
  events: readonly LoggedEvent[];
  /** Facts of the last start or resume. */
  start: z.infer<(typeof SCHEMAS)['start']> | undefined;
  /** By step and by epoch; of one that was done twice the last record counts. */
  steps: readonly StepsRecord[];
  epochs: readonly EpochFigures[];
  /** The averaged parameters, which are then the finished network. */
  average: z.infer<(typeof SCHEMAS)['average']> | undefined;
  calibration: z.infer<(typeof SCHEMAS)['calibration']> | undefined;
  test: z.infer<(typeof SCHEMAS)['test']> | undefined;
  answers: TestAnswers | undefined;
}

/**
 * Read a run folder, finished or not.
 *
 * Errors: `checkpoint/missing` when it is not one; `run/damaged` when a file of it is damaged.
 */
export async function readRun(runFolder: string): Promise<RunRecord> {
  const config = await readConfigKeys(runFolder);
  return {
    ...orderEvents(await readEvents(runFolder)),
    name: basename(resolve(runFolder)),
    config,
    answers: await readTestAnswers(runFolder),
  };
}

/** The events of a log by their kind. */
export function orderEvents(events: readonly LoggedEvent[]): Omit<RunRecord, 'name' | 'config' | 'answers'> {
  const steps = pick(events, SCHEMAS.steps);
  const epochs = pick(events, SCHEMAS.epoch);
  return {
    events,
    start: pick(events, SCHEMAS.start).at(-1),
    steps: [...new Map(steps.map((record) => [record.step, record])).values()],
    epochs: [...new Map(epochs.map((record) => [record.epoch, record])).values()],
    average: pick(events, SCHEMAS.average).at(-1),
    calibration: pick(events, SCHEMAS.calibration).at(-1),
    test: pick(events, SCHEMAS.test).at(-1),
  };
}

function pick<Kind>(events: readonly LoggedEvent[], schema: z.ZodType<Kind>): Kind[] {
  return events.flatMap((event) => {
    const parsed = schema.safeParse(event);
    return parsed.success ? [parsed.data] : [];
  });
}

async function readConfigKeys(runFolder: string): Promise<Record<string, unknown>> {
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(await readFile(join(runFolder, CONFIG_FILE), 'utf8')));
  } catch (cause) {
    throw new ProductError(
      'checkpoint/missing',
      `${runFolder} has no readable ${CONFIG_FILE}; name the folder of a run`,
      { cause },
    );
  }
}
