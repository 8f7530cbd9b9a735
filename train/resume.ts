/** What a run needs to go on from its latest checkpoint, if its configuration and data allow it. */
import { ProductError } from '../shared/errors.ts';
import { findLatestCheckpoint, readCheckpoint } from './checkpoint.ts';
import type { Checkpoint, CheckpointHeader } from './checkpoint.ts';
import { hashConfig } from './config.ts';
import type { TrainConfig } from './config.ts';
import type { Dataset } from './dataset.ts';
import { leavesOut } from './easy-images.ts';
import type { Engine } from './engine/engine.ts';
import { listSlots } from './optimizer.ts';
import { CONFIG_FILE } from './run-folder.ts';
import type { TensorGroups } from './training-state.ts';

/**
 * The latest checkpoint of a run folder.
 *
 * Errors: `checkpoint/missing` when there is none, `checkpoint/mismatch` for other data, another configuration or
 * another engine, those of `readCheckpoint`.
 */
export async function readForResume({
  config,
  dataset,
  engine,
  runFolder,
}: {
  config: TrainConfig;
  dataset: Dataset;
  engine: Engine;
  runFolder: string;
}): Promise<{ header: CheckpointHeader; groups: TensorGroups }> {
  const folder = await findLatestCheckpoint(runFolder);
  if (folder === undefined) {
    throw new ProductError(
      'checkpoint/missing',
      `${runFolder} has no complete checkpoint to resume from; start the run again with another --out`,
    );
  }
  const { header, groups } = await readCheckpoint(folder);
  if (header.dataSha256 !== dataset.sha256) {
    throw new ProductError(
      'checkpoint/mismatch',
      `the run was started on data with sha256 ${header.dataSha256}, these have ${dataset.sha256}; use the same --data-dir`,
    );
  }
  if (hashConfig(header.config) !== hashConfig(config)) {
    throw new ProductError(
      'checkpoint/mismatch',
      `the configuration differs from the one that ${folder} was made with; a resumed run takes its ${CONFIG_FILE} unchanged`,
    );
  }
  if (!header.engine.startsWith(`${engine.name}:`)) {
    throw new ProductError(
      'checkpoint/mismatch',
      `the run was computed by "${header.engine}", this is the engine ${engine.name}, whose bits differ; resume with the same --engine`,
    );
  }
  return { header, groups: requireGroups(groups, config, header) };
}

function requireGroups(
  groups: Checkpoint['groups'],
  { optimizer, weightAverage, easyImages, epochs }: TrainConfig,
  { epoch }: CheckpointHeader,
): TensorGroups {
  const parameters = groups.get('parameters');
  const needsLosses = easyImages !== undefined && leavesOut(easyImages, { epoch, epochs });
  const besides = [
    ...listSlots(optimizer),
    ...(weightAverage === null ? [] : (['average'] as const)),
    ...(needsLosses ? (['imageLosses'] as const) : []),
  ];
  const others = besides.map((name) => [name, groups.get(name)] as const);
  if (parameters === undefined || others.some(([, group]) => group === undefined)) {
    const expected = ['parameters', ...besides];
    throw new ProductError(
      'checkpoint/damaged',
      `the checkpoint has the groups ${[...groups.keys()].join(', ') || 'none'}; ${expected.join(' and ')} are expected; resume from another one`,
    );
  }
  const imageLosses = groups.get('imageLosses');
  return { parameters, ...Object.fromEntries(others), ...(imageLosses && { imageLosses }) };
}
