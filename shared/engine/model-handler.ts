/**
 * The way of a model into the engine: an IOHandler for tfjs' `loadGraphModel`.
 *
 * What tfjs gets is a graph in which every node of the model is one custom op of the model's input, and a single small
 * tensor in place of the weights: those are in the engine already, and go when tfjs disposes of that tensor. So
 * `execute(x, ['layer3', ...])`, `predict` and `dispose` work as always. What differs: a model can be fed at its input
 * only, constants cannot be asked for, and `model.weights` does not hold the weights.
 */
import { getBackend, type io } from '@tensorflow/tfjs-core';
import { ProductError } from '../errors.ts';
import { EDGE_BACKEND, TAP_OP, type EdgeBackend } from './backend.ts';
import { draftNetwork, type NetworkDraft, type ShardStream } from './draft-network.ts';
import type { EngineModel, PackedNetwork } from './engine.ts';
import type { EngineMode } from './layout.ts';
import { networkFileOf, type EdgeModelFile, type NetworkFile } from './network-file.ts';
import type { Network } from './network.ts';
import { parseNetwork, type Constant } from './parse-network.ts';
import { Shards, WeightCopies } from './shards.ts';

export interface EdgeModelOptions {
  backend: EdgeBackend;
  file: EdgeModelFile;
  /** The shards in their order: read one by one, and let go of when their weights are in the engine. */
  shards: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  /** The network of `file` before its weights are here, where somebody has parsed it already. */
  network?: Network;
  /** Told of each shard when it is let go of. */
  letGo?: (shard: Uint8Array) => void;
  mode: EngineMode;
}

/** A name that no layer has. */
const MODEL_NODE = 'edge/model';

/**
 * `getBackend()` must be `edge`.
 *
 * Memory   at its peak the weights and so many shards as the stream reads ahead
 * Errors, when it loads: `model/unsupported` with the name of an op that no kernel serves, `model/damaged`,
 * `engine/memory`.
 */
export function edgeModelHandler(options: EdgeModelOptions): io.IOHandler {
  return { load: () => loadArtifacts(options) };
}

async function loadArtifacts(options: EdgeModelOptions): Promise<io.ModelArtifacts> {
  const { backend, file, shards, letGo, mode } = options;
  if (getBackend() !== EDGE_BACKEND) {
    throw new Error(`internal: the backend is "${getBackend()}" while a model is loaded for "${EDGE_BACKEND}"`);
  }
  const parts = networkFileOf(file);
  const { nodes } = parts;
  const [input, ...others] = nodes.filter(({ op }) => op === 'Placeholder');
  if (input === undefined || others.length > 0) {
    throw new ProductError(
      'model/unsupported',
      `the graph has ${others.length + (input ? 1 : 0)} inputs; one is expected`,
    );
  }
  const stream = iterate(shards);
  const { model, network } = await loadNetwork(backend, parts, {
    stream,
    draft: options.network === undefined ? await draftNetwork(parts, stream) : { network: options.network, read: [] },
    letGo,
    mode,
  });
  const taps = nodes.flatMap(({ name, op }) => {
    const index = network.indexOfNode.get(name);
    if (op === 'Placeholder' || index === undefined) return [];
    return [{ name, op: TAP_OP, input: [input.name, MODEL_NODE], attr: { index: { i: String(index) } } }];
  });
  const handle = backend.announceModel(model);
  return {
    ...(file.format === undefined ? {} : { format: file.format }),
    ...(file.signature === undefined ? {} : { signature: file.signature }),
    modelTopology: {
      node: [input, { name: MODEL_NODE, op: 'Const', input: [], attr: {} }, ...taps],
      library: {},
      versions: file.modelTopology.versions,
    },
    weightSpecs: [{ name: MODEL_NODE, shape: [2], dtype: 'int32' }],
    weightData: handle.buffer,
    userDefinedMetadata: { engine: EDGE_BACKEND, mode },
  };
}

/** What is packed when the stream fails is freed. */
async function loadNetwork(
  { engine }: EdgeBackend,
  { nodes, specs }: NetworkFile,
  options: { stream: ShardStream; draft: NetworkDraft; letGo: EdgeModelOptions['letGo']; mode: EngineMode },
): Promise<{ model: EngineModel; network: Network }> {
  const { stream, draft, letGo, mode } = options;
  const shards = new Shards(specs, letGo);
  const kernels = new Set(
    draft.network.nodes.flatMap(({ operation }) => (operation.kind === 'convolution' ? [operation.kernel] : [])),
  );
  const small = new WeightCopies([...shards.weights.values()].filter(({ name }) => !kernels.has(name)));
  const add = (chunk: Uint8Array): void => {
    small.add(chunk);
    shards.add(chunk);
  };
  draft.read.forEach(add);
  const receive = async (needed: number): Promise<void> => {
    while (shards.received < needed) {
      const { done, value } = await stream.next();
      if (done === true) return shards.end();
      add(value);
    }
  };
  const packing = engine.pack(draft.network, mode, shards);
  let packed: PackedNetwork | undefined;
  try {
    let step = packing.next();
    for (; step.done !== true; step = packing.next()) await receive(step.value);
    packed = step.value;
    await receive(Infinity);
    shards.release(Infinity);
    const constants = new Map<string, Constant>(
      [...shards.weights].map(([name, { shape }]) => [name, { shape, values: () => readSmall(small, name) }]),
    );
    const network = parseNetwork(nodes, constants);
    return { model: engine.adopt(packed, network), network };
  } catch (error) {
    if (packed === undefined) packing.throw(error);
    else engine.discard(packed);
    throw error;
  }
}

function readSmall(small: WeightCopies, name: string): number[] {
  const values = small.values(name);
  if (values === undefined) throw new Error(`internal: "${name}" is a kernel, and its values are packed`);
  return values;
}

async function* iterate(shards: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* shards;
}
