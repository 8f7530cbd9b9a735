/** What the benchmark compares, each loaded from one model folder, with its own way of running one picture. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { loadGraphModel, type GraphModel } from '@tensorflow/tfjs-converter';
import { setBackend, tensor4d, tidy, type io, type Tensor } from '@tensorflow/tfjs-core';
import { EDGE_BACKEND, startEdgeBackend, type EdgeBackend } from '../../shared/engine/backend.ts';
import { chooseVariant, type KernelVariant } from '../../shared/engine/kernel-module.ts';
import type { EngineMode } from '../../shared/engine/layout.ts';
import { edgeModelHandler } from '../../shared/engine/model-handler.ts';
import { Shards } from '../../shared/engine/shards.ts';
import { LOGITS_LAYER } from '../../shared/resnet.ts';
import type { Tensor as Weight } from '../../train/convert/build-graph.ts';
import { encodeOnnxModel } from '../../train/convert/onnx/convert-to-onnx.ts';
import { isOnnxruntimeSetUp, loadOnnxruntime } from '../../train/convert/onnx/run-onnxruntime.ts';
import { readModel, type ModelFolder } from '../../train/convert/read-model.ts';
import { writeModel, type ModelSource } from '../../train/convert/write-model.ts';
import { compileEngineModule } from '../support/edge-engine.ts';
import { startStockBackend } from '../support/stock-backend.ts';

/** One picture [height, width, channels] -> logits [classes]. */
export type Classify = (picture: Float32Array) => Promise<Float32Array>;

export interface Contender {
  name: string;
  classify: Classify;
}

function toSource({ manifest, topology, weights }: ModelFolder): ModelSource {
  const shards = Shards.of(
    topology.weightsManifest.flatMap((group) =>
      group.weights.map(({ quantization, ...rest }) => (quantization === undefined ? rest : { ...rest, quantization })),
    ),
    [weights],
  );
  const parameters = new Set(
    topology.modelTopology.node.flatMap(({ op, input }) =>
      /Conv2D|MatMul|BiasAdd|BatchNorm/.test(op) ? input.slice(1) : [],
    ),
  );
  const decoded = new Map<string, Weight>();
  for (const [name, weight] of shards.weights) {
    if (parameters.has(name))
      decoded.set(name, { shape: weight.shape, values: Float32Array.from(shards.values(weight)) });
  }
  const { name, architecture, classNames, preprocess, temperature, provenance, licence } = manifest;
  return {
    name,
    architecture,
    classNames,
    normalization: preprocess,
    weights: decoded,
    temperature,
    provenance,
    licence,
  };
}

/** Write the folded, fused form of a model folder, in float32. */
export async function foldModel(folder: string, target: string): Promise<void> {
  await writeModel(toSource(await readModel(folder)), { weightType: 'float32', isFolded: true }, target);
}

/** Stock tfjs with its own wasm kernels gets the folded, fused graph: its best form. */
export async function loadStock(folder: string, scratch: string): Promise<Contender & { model: GraphModel }> {
  const target = join(scratch, 'folded');
  await foldModel(folder, target);
  const folded = await readModel(target);
  await startStockBackend();
  const [group] = folded.topology.weightsManifest;
  const load = async (): Promise<io.ModelArtifacts> => ({
    format: folded.topology.format,
    modelTopology: folded.topology.modelTopology,
    weightSpecs: group?.weights ?? [],
    weightData: folded.weights.buffer,
  });
  const model = await loadGraphModel({ load });
  const { inputShape } = folded.manifest.architecture;
  return { name: 'tfjs-wasm (folded)', model, classify: (picture) => execute('wasm', model, picture, inputShape) };
}

async function execute(
  backend: string,
  model: GraphModel,
  picture: Float32Array,
  inputShape: readonly number[],
): Promise<Float32Array> {
  await setBackend(backend);
  const [height = 0, width = 0, channels = 0] = inputShape;
  let logits = new Float32Array();
  tidy(() => {
    const output = model.execute(tensor4d(picture, [1, height, width, channels]), LOGITS_LAYER) as Tensor;
    logits = Float32Array.from(output.dataSync<'float32'>());
  });
  return logits;
}

export interface EdgeContender extends Contender {
  model: GraphModel;
  folder: ModelFolder;
}

let edge: EdgeBackend | undefined;

export async function startEdge(variant: KernelVariant = chooseVariant()): Promise<EdgeBackend> {
  edge ??= await startEdgeBackend(compileEngineModule(variant));
  await setBackend(EDGE_BACKEND);
  return edge;
}

export async function loadEdge(folder: string, mode: EngineMode): Promise<EdgeContender> {
  const backend = await startEdge();
  const read = await readModel(folder);
  const shards = [read.weights];
  const file = {
    ...read.topology,
    weightsManifest: read.topology.weightsManifest.map(({ weights }) => ({
      weights: weights.map(({ quantization, ...rest }) =>
        quantization === undefined ? rest : { ...rest, quantization },
      ),
    })),
  };
  const model = await loadGraphModel(edgeModelHandler({ backend, file, shards, mode }));
  const { inputShape } = read.manifest.architecture;
  return {
    name: `edge ${mode}`,
    model,
    folder: read,
    classify: (picture) => execute('edge', model, picture, inputShape),
  };
}

interface OrtSession {
  run(feeds: Record<string, unknown>, fetches: readonly string[]): Promise<Record<string, { data: Float32Array }>>;
}

interface Ort {
  InferenceSession: { create(file: Uint8Array, options: Record<string, unknown>): Promise<OrtSession> };
  Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => unknown;
  env: { wasm?: { numThreads?: number } };
}

/** onnxruntime on one thread: native where it is set up, and its web build where ONNXRUNTIME_WEB names its folder. */
export async function loadOnnxContenders(folder: string): Promise<Contender[]> {
  const { file, inputShape } = await readOnnx(folder);
  const contenders: Contender[] = [];
  if (isOnnxruntimeSetUp()) {
    contenders.push({ name: 'onnxruntime-node', classify: await loadOnnxNative(folder, { threads: 1 }) });
  }
  const webFolder = process.env['ONNXRUNTIME_WEB'];
  if (webFolder !== undefined) {
    const web = createRequire(join(webFolder, 'package.json'))('onnxruntime-web') as Ort;
    if (web.env.wasm !== undefined) web.env.wasm.numThreads = 1;
    const session = await web.InferenceSession.create(file, sessionOptions('wasm', 1));
    contenders.push({ name: 'onnxruntime-web', classify: toClassify(web, session, inputShape) });
  }
  return contenders;
}

async function readOnnx(folder: string): Promise<{ file: Uint8Array; inputShape: readonly number[] }> {
  const read = await readModel(folder);
  const file = encodeOnnxModel(toSource(read), { hasLayerOutputs: false });
  return { file, inputShape: read.manifest.architecture.inputShape };
}

function sessionOptions(provider: 'cpu' | 'wasm', threads: number): Record<string, unknown> {
  return {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
    executionProviders: [provider],
  };
}

/** Native onnxruntime with so many threads for one picture. Errors: `engine/unavailable` where it is not set up. */
export async function loadOnnxNative(folder: string, { threads }: { threads: number }): Promise<Classify> {
  const native = loadOnnxruntime() as unknown as Ort;
  const { file, inputShape } = await readOnnx(folder);
  const session = await native.InferenceSession.create(file, sessionOptions('cpu', threads));
  return toClassify(native, session, inputShape);
}

function toClassify({ Tensor: OrtTensor }: Ort, session: OrtSession, inputShape: readonly number[]): Classify {
  const [height = 0, width = 0, channels = 0] = inputShape;
  return async (picture) => {
    const planes = new Float32Array(picture.length);
    for (let channel = 0; channel < channels; channel++) {
      for (let pixel = 0; pixel < height * width; pixel++) {
        planes[channel * height * width + pixel] = picture[pixel * channels + channel] ?? 0;
      }
    }
    const input = new OrtTensor('float32', planes, [1, channels, height, width]);
    const { logits } = await session.run({ input }, ['logits']);
    return logits?.data ?? new Float32Array();
  };
}
