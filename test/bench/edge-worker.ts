/**
 * A Worker that only computes: `GET /?contender=stock&runs=20` classifies one picture so many times and answers with the
 * logits. Its clock stands still meanwhile, so the time is taken by whoever asks. Every contender stays loaded.
 *
 * Assets: `/shipped` and `/folded`, a model folder each.
 */
import { loadGraphModel, type GraphModel } from '@tensorflow/tfjs-converter';
import { setBackend, tensor4d, tidy, type io, type Tensor } from '@tensorflow/tfjs-core';
import stockModule from '@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-simd.wasm';
import { startEdgeBackend, type EdgeBackend } from '../../shared/engine/backend.ts';
import { edgeModelHandler } from '../../shared/engine/model-handler.ts';
import type { EdgeModelFile } from '../../shared/engine/network-file.ts';
import relaxed from '../../shared/engine/wasm/edge-relaxed.wasm';
import { LOGITS_LAYER } from '../../shared/resnet.ts';
import { startStockModule } from '../support/stock-module.ts';

type StoredGroup = EdgeModelFile['weightsManifest'][number] & io.WeightsManifestConfig[number];
type StoredModel = Omit<EdgeModelFile, 'weightsManifest'> & { weightsManifest: StoredGroup[] };

interface Loaded {
  backend: 'wasm' | 'edge';
  model: GraphModel;
}

const loaded = new Map<string, Promise<Loaded>>();
let edge: Promise<EdgeBackend> | undefined;

async function readFolder(assets: Fetcher, folder: string): Promise<{ file: StoredModel; shards: Uint8Array[] }> {
  const read = async (name: string): Promise<ArrayBuffer> => {
    const response = await assets.fetch(`http://assets/${folder}/${name}`);
    if (!response.ok) throw new Error(`no asset ${folder}/${name}: ${response.status}`);
    return response.arrayBuffer();
  };
  const file = JSON.parse(new TextDecoder().decode(await read('model.json'))) as StoredModel;
  const paths = file.weightsManifest.flatMap((group) => group.paths);
  return { file, shards: await Promise.all(paths.map(async (path) => new Uint8Array(await read(path)))) };
}

async function loadContender(assets: Fetcher, name: string): Promise<Loaded> {
  if (name === 'stock') {
    const { file, shards } = await readFolder(assets, 'folded');
    await startStockModule(stockModule);
    const artifacts = {
      modelTopology: file.modelTopology,
      weightSpecs: file.weightsManifest.flatMap(({ weights }): io.WeightsManifestEntry[] => weights),
      weightData: await new Blob(shards).arrayBuffer(),
    };
    return { backend: 'wasm', model: await loadGraphModel({ load: async () => artifacts }) };
  }
  if (name !== 'fast' && name !== 'exact') throw new Error(`contender=${name}; expected stock, fast or exact`);
  const { file, shards } = await readFolder(assets, 'shipped');
  edge ??= startEdgeBackend(relaxed);
  const backend = await edge;
  await setBackend('edge');
  return { backend: 'edge', model: await loadGraphModel(edgeModelHandler({ backend, file, shards, mode: name })) };
}

export default {
  async fetch(request, env) {
    const { searchParams } = new URL(request.url);
    const name = searchParams.get('contender') ?? '';
    const loading = loaded.get(name) ?? loadContender(env.ASSETS, name);
    loaded.set(name, loading);
    const { backend, model } = await loading;
    const [, height = 0, width = 0, channels = 0] = model.inputs[0]?.shape ?? [];
    const picture = Float32Array.from(
      { length: height * width * channels },
      (_, index) => Math.sin(index * 0.37) * 1.5,
    );
    let logits: number[] = [];
    for (let run = Number(searchParams.get('runs')); run > 0; run--) {
      await setBackend(backend);
      tidy(() => {
        const output = model.execute(tensor4d(picture, [1, height, width, channels]), LOGITS_LAYER) as Tensor;
        logits = [...output.dataSync<'float32'>()];
      });
    }
    return Response.json(logits);
  },
} satisfies ExportedHandler<Env>;
