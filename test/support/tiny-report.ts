/** A finished run in miniature with its report, for tests of the report. */
import { join } from 'node:path';
import { createTfjsEngine } from '../../train/engine/tfjs-engine.ts';
import { trainAndEvaluate } from '../../train/loop.ts';
import type { TrainResult } from '../../train/loop.ts';
import { createTinyDataset, RecordingStream, tinyConfig } from './tiny-run.ts';

/** 90 test pictures, so that some answers are wrong. */
export const reportedDataset = createTinyDataset({ testCount: 90 });

/** Train in `folder`/`name`; stops early after `maxSteps`. */
export async function writeTinyReport(
  folder: string,
  { name = 'run', maxSteps }: { name?: string; maxSteps?: number } = {},
): Promise<{ runFolder: string; result: TrainResult; output: string }> {
  const runFolder = join(folder, name);
  const stream = new RecordingStream();
  const result = await trainAndEvaluate({
    config: tinyConfig({ epochs: 3 }),
    dataset: reportedDataset,
    engine: await createTfjsEngine('wasm'),
    runFolder,
    isResumed: false,
    stream,
    ...(maxSteps === undefined ? {} : { maxSteps }),
  });
  return { runFolder, result, output: stream.text };
}
