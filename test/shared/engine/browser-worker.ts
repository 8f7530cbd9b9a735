/** The engine in a Web Worker: each message is a model and a picture, each answer the logits. */
import { loadGraphModel } from '@tensorflow/tfjs-converter';
import { tensor4d, type Tensor } from '@tensorflow/tfjs-core';
import { startEdgeBackend } from '../../../shared/engine/backend.ts';
import { edgeModelHandler } from '../../../shared/engine/model-handler.ts';
import type { EdgeModelFile } from '../../../shared/engine/network-file.ts';
import type { EngineMode } from '../../../shared/engine/layout.ts';
import { LOGITS_LAYER } from '../../../shared/resnet.ts';

/** The file and the shards are fetched from the addresses. */
export interface BrowserTask {
  module: string;
  file: string;
  shards: string[];
  mode: EngineMode;
  /** [1, height, width, channels] */
  picture: number[];
  shape: [number, number, number, number];
}

async function classify({ module, file, shards, mode, picture, shape }: BrowserTask): Promise<number[]> {
  const read = async (address: string): Promise<ArrayBuffer> => (await fetch(address)).arrayBuffer();
  const backend = await startEdgeBackend(await WebAssembly.compile(await read(module)));
  const json = JSON.parse(new TextDecoder().decode(await read(file))) as EdgeModelFile;
  const bytes = await Promise.all(shards.map(async (address) => new Uint8Array(await read(address))));
  const model = await loadGraphModel(edgeModelHandler({ backend, file: json, shards: bytes, mode }));
  const output = model.execute(tensor4d(picture, shape), LOGITS_LAYER) as Tensor;
  return [...output.dataSync<'float32'>()];
}

addEventListener('message', ({ data }: MessageEvent<BrowserTask>) => {
  void classify(data).then(
    (logits) => postMessage({ logits }),
    (error: unknown) => postMessage({ error: String(error) }),
  );
});
