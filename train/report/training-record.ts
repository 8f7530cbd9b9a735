/** What training a model took, for the readers of its model folder, who have no run folder. */
import { ProductError } from '../../shared/errors.ts';
import type { Provenance, TrainingRecord } from '../../shared/manifest.ts';
import { hashConfig } from '../config.ts';
import { readRun } from './read-run.ts';
import type { RunRecord } from './read-run.ts';
import { describeTrainCommand } from './reproduce.ts';
import { splitTime } from './time-split.ts';

/** Undefined when no epoch is finished. */
export function describeTraining(run: RunRecord): TrainingRecord | undefined {
  const { start, config, epochs, events } = run;
  if (start === undefined || epochs.length === 0) return undefined;
  const seconds = epochs.reduce((sum, { durationSeconds }) => sum + durationSeconds, 0);
  const seen = epochs.reduce((sum, { imagesPerSecond, durationSeconds }) => sum + imagesPerSecond * durationSeconds, 0);
  return {
    command: describeTrainCommand(config, start.run),
    config: { ...config },
    dataset: start.dataset,
    images: start.images,
    epochs: epochs.length,
    wallSeconds: splitTime(events).wall,
    imagesPerSecond: seen / seconds,
  };
}

/** What a run folder tells of the training of a model; undefined when it is not the folder of the model's run. */
export async function findTrainingRecord(
  runFolder: string,
  { run, configSha256 }: Provenance,
): Promise<TrainingRecord | undefined> {
  try {
    const found = await readRun(runFolder);
    const isRun = found.start?.run === run && hashConfig(found.config) === configSha256;
    return isRun ? describeTraining(found) : undefined;
  } catch (error) {
    // A checkpoint may have been copied away from its run.
    if (error instanceof ProductError && error.code === 'checkpoint/missing') return undefined;
    throw error;
  }
}
