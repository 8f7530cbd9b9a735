/** The header of a run's checkpoints: what it starts with, and the sums that go along with an epoch. */
import { basename } from 'node:path';
import { CHECKPOINT_FORMAT_VERSION } from './checkpoint.ts';
import type { CheckpointHeader } from './checkpoint.ts';
import { architectureOfConfig } from './config.ts';
import type { TrainConfig } from './config.ts';
import type { Dataset } from './dataset.ts';
import type { Engine } from './engine/engine.ts';
import { describeHardware, readCommit } from './provenance.ts';

export type Meters = CheckpointHeader['meters'];

export const NO_METERS: Meters = { images: 0, weight: 0, correct: 0, lossSum: 0, durationMs: 0 };

export function weightOf({ images, weight = images }: Meters): number {
  return weight;
}

export function addMeters(sums: Meters, step: Meters): Meters {
  return {
    images: sums.images + step.images,
    weight: weightOf(sums) + weightOf(step),
    correct: sums.correct + step.correct,
    lossSum: sums.lossSum + step.lossSum,
    durationMs: sums.durationMs + step.durationMs,
  };
}

/** What computes now, on which machine, from which commit. */
export async function describeMaker({
  name,
  device,
}: Engine): Promise<Pick<CheckpointHeader, 'engine' | 'hardware' | 'commit'>> {
  return { engine: `${name}: ${device}`, hardware: describeHardware(), commit: await readCommit() };
}

/** The header before the first update. */
export async function firstHeader({
  config,
  dataset,
  engine,
  runFolder,
}: {
  config: TrainConfig;
  dataset: Dataset;
  engine: Engine;
  runFolder: string;
}): Promise<CheckpointHeader> {
  return {
    formatVersion: CHECKPOINT_FORMAT_VERSION,
    run: basename(runFolder),
    step: 0,
    epoch: 0,
    stepInEpoch: 0,
    meters: NO_METERS,
    seed: config.seed,
    config,
    architecture: architectureOfConfig(config, { classes: dataset.classNames.length, inputShape: dataset.imageShape }),
    classNames: dataset.classNames,
    normalization: dataset.normalization,
    dataset: dataset.name,
    dataSha256: dataset.sha256,
    ...(await describeMaker(engine)),
    history: [],
  };
}
