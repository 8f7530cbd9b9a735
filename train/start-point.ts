/** Where a run may start instead of at random values: the parameters of another run's checkpoint. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { ProductError } from '../shared/errors.ts';
import { locateCheckpoint, readCheckpoint } from './checkpoint.ts';
import type { CheckpointTensor } from './checkpoint.ts';
import type { TrainConfig } from './config.ts';

export interface StartPoint {
  /** For the configuration. */
  startsFrom: NonNullable<TrainConfig['startsFrom']>;
  /** Parameters and moving statistics by name. */
  parameters: ReadonlyMap<string, CheckpointTensor>;
  /** What decided the other run's validation split. */
  split: { seed: number; validationImages: number; dataSha256: string };
}

const splitSchema = z.object({ validationImages: z.int() });

/** Read a checkpoint folder, or the latest one of a run folder, as a start. Errors: those of `readCheckpoint`. */
export async function readStartPoint(folder: string): Promise<StartPoint> {
  const place = await locateCheckpoint(folder);
  const { header, groups } = await readCheckpoint(place);
  const config = splitSchema.safeParse(header.config);
  if (!config.success) {
    throw new ProductError(
      'checkpoint/mismatch',
      `the configuration in ${place} does not say how many validation images were held out; start from a run of this program`,
    );
  }
  const parameters = groups.get('parameters') ?? new Map<string, CheckpointTensor>();
  const hash = createHash('sha256');
  for (const { values } of parameters.values()) {
    hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
  return {
    startsFrom: { run: header.run, step: header.step, parametersSha256: hash.digest('hex') },
    parameters,
    split: { seed: header.seed, ...config.data, dataSha256: header.dataSha256 },
  };
}

/**
 * Refuse a start that has seen this run's validation images: on the same data both runs must split by
 * the same seed, and this one may hold out no more than the other one did.
 *
 * Errors: `config/invalid`.
 */
export function assertSameSplit({ split, startsFrom }: StartPoint, config: TrainConfig, dataSha256: string): void {
  if (split.dataSha256 !== dataSha256) return;
  if (split.seed === config.seed && config.validationImages <= split.validationImages) return;
  throw new ProductError(
    'config/invalid',
    `${startsFrom.run} was trained with seed ${split.seed} and ${split.validationImages} validation images, this run has seed ${config.seed} and ${config.validationImages}: it would be validated on images that it was trained on; use --seed ${split.seed} and at most ${split.validationImages} validation images`,
  );
}
