/**
 * From a model's files into the engine of this thread. Which store they are in, and which build of the engine runs it, is
 * the platform's business.
 */
import { loadGraphModel } from '@tensorflow/tfjs-converter';
import { edgeModelHandler } from '../../shared/engine/model-handler.ts';
import type { AssetSource } from '../asset-source.ts';
import { LinearWeightsReader } from './linear-weights.ts';
import { createLoadedModel, type LoadedModel } from './loaded-model.ts';
import { openModelFiles, type ModelFiles } from './model-files.ts';
import type { ServedEngine } from './served-engine.ts';

/** Shards of at most 4 MiB that are read at once. More are not faster, and an isolate is nearly full while it swaps. */
const SHARDS_AHEAD = 1;

/** Load a model of the store into the engine. Errors: those of {@link openModelFiles} and {@link loadFiles}. */
export async function loadModel(store: AssetSource, modelId: string, engine: ServedEngine): Promise<LoadedModel> {
  return loadFiles(await openModelFiles(store, modelId), engine);
}

/**
 * Memory   at its peak the weights in the engine and a few shards; of the files nothing is kept
 * Errors   'model/missing', 'model/damaged', 'model/unsupported', 'engine/memory'; nothing of the model is kept then
 */
export async function loadFiles(files: ModelFiles, { backend, variant, mode }: ServedEngine): Promise<LoadedModel> {
  const { manifest, graph } = files;
  const specs = graph.weightsManifest.flatMap((group) => group.weights);
  const linear = new LinearWeightsReader(manifest.architecture, specs);
  const buffers = files.createBuffers();
  async function* shards(): AsyncGenerator<Uint8Array> {
    for await (const shard of files.readShards(SHARDS_AHEAD, buffers)) {
      linear.add(shard);
      yield shard;
    }
  }
  const letGo = (shard: Uint8Array): void => buffers.giveBack(shard);
  const network = await files.draftNetwork();
  const model = await loadGraphModel(
    edgeModelHandler({ backend, file: graph, network, shards: shards(), letGo, mode }),
  );
  buffers.clear();
  return createLoadedModel(model, { manifest, computation: { variant, mode }, linear: linear.finish() });
}
