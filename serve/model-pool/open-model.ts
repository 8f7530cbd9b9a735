/** A model of a store for the shelf: its files say what it takes before any engine has it. */
import type { EngineMode } from '../../shared/engine/layout.ts';
import type { AssetSource } from '../asset-source.ts';
import type { Classifier } from '../inference/classifier.ts';
import { openModelFiles, type ModelFiles } from '../inference/model-files.ts';
import type { OpenedModel } from './model-shelf.ts';

/**
 * @param load brings the files into the engine, wherever that runs
 * Errors   those of {@link openModelFiles}, 'model/unsupported'
 */
export async function openModel(
  store: AssetSource,
  modelId: string,
  { mode, load }: { mode: EngineMode; load: (files: ModelFiles) => Promise<Classifier> },
): Promise<OpenedModel> {
  const files = await openModelFiles(store, modelId);
  const memory = await files.planMemory(mode);
  return {
    memory,
    verify: () => files.verify(),
    load: () => load(files),
  };
}
