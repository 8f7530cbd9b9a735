/** Where a run may start instead of at random values: the parameters of another run's checkpoint, or of a model folder. */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { ProductError } from '../shared/errors.ts';
import { networkFileOf } from '../shared/engine/network-file.ts';
import { Shards } from '../shared/engine/shards.ts';
import { MANIFEST_FILE } from '../shared/manifest.ts';
import { buildLayerTable, listParameters } from '../shared/resnet.ts';
import { locateCheckpoint, readCheckpoint } from './checkpoint.ts';
import type { CheckpointTensor } from './checkpoint.ts';
import type { TrainConfig } from './config.ts';
import { readEvaluation, readModel } from './convert/read-model.ts';

export interface StartPoint {
  /** For the configuration. */
  startsFrom: NonNullable<TrainConfig['startsFrom']>;
  /** Parameters and moving statistics by name. */
  parameters: ReadonlyMap<string, CheckpointTensor>;
  /** What decided the other run's validation split. */
  split: { seed: number; validationImages: number; dataSha256: string };
}

const splitSchema = z.object({ validationImages: z.int() });

/**
 * Read a start: a checkpoint folder, the latest one of a run folder, or a model folder, which is all that is left of a run
 * once it is published.
 *
 * Errors   those of `readCheckpoint` and `readModel`; `checkpoint/mismatch` where it is not known what was held out, or
 *          there are no parameters
 */
export async function readStartPoint(folder: string): Promise<StartPoint> {
  const isModel = await stat(path.join(folder, MANIFEST_FILE)).then(
    () => true,
    () => false,
  );
  return isModel ? startFromModel(folder) : startFromCheckpoint(folder);
}

async function startFromCheckpoint(folder: string): Promise<StartPoint> {
  const place = await locateCheckpoint(folder);
  const { header, groups } = await readCheckpoint(place);
  const config = splitSchema.safeParse(header.config);
  if (!config.success) {
    throw new ProductError(
      'checkpoint/mismatch',
      `the configuration in ${place} does not say how many validation images were held out; start from a run of this program`,
    );
  }
  const parameters = groups.get('parameters');
  if (parameters === undefined || parameters.size === 0) {
    throw new ProductError(
      'checkpoint/mismatch',
      `the checkpoint ${place} has no tensors in the group "parameters" (its groups: ${[...groups.keys()].join(', ') || 'none'}), so there is nothing to start from; start from a run of this program`,
    );
  }
  return {
    startsFrom: { run: header.run, step: header.step, parametersSha256: hashParameters(parameters) },
    parameters,
    split: { seed: header.seed, ...config.data, dataSha256: header.dataSha256 },
  };
}

async function startFromModel(folder: string): Promise<StartPoint> {
  const { manifest, topology, weights } = await readModel(folder);
  const { modelId, isFolded, architecture, provenance } = manifest;
  if (isFolded) {
    throw new ProductError(
      'checkpoint/mismatch',
      `the model in ${folder} is folded: its batch norms are part of the convolutions; start from one that was converted without --fold`,
    );
  }
  const training = (await readEvaluation(folder, modelId))?.training;
  if (training === undefined) {
    throw new ProductError(
      'checkpoint/mismatch',
      `the model in ${folder} does not say how many validation images were held out; run "npm run model -- card" with its run`,
    );
  }
  const shards = Shards.of(networkFileOf(topology).specs, [weights]);
  const named = listParameters(buildLayerTable(architecture)).map(({ name, shape }) => {
    const stored = shards.weights.get(name);
    if (stored === undefined) throw new Error(`internal: a verified model has no "${name}"`);
    return [name, { shape, values: Float32Array.from(shards.values(stored)) }] as const;
  });
  const parameters = new Map(named);
  const { run, step, seed, dataSha256 } = provenance;
  return {
    startsFrom: { run, step, modelId, parametersSha256: hashParameters(parameters) },
    parameters,
    split: { seed, validationImages: training.images.validation, dataSha256 },
  };
}

function hashParameters(parameters: StartPoint['parameters']): string {
  const hash = createHash('sha256');
  for (const { values } of parameters.values()) {
    hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
  return hash.digest('hex');
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
