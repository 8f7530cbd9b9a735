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
import type { GraphDefNode } from './graph-def.ts';
import type { EngineMode } from './layout.ts';
import { parseNetwork, type Constant } from './parse-network.ts';
import { Shards, type WeightSpec } from './shards.ts';

/** What the engine reads of a `model.json`. */
export interface EdgeModelFile {
  format?: string;
  signature?: object;
  modelTopology: { node: readonly GraphDefNode[]; versions: object };
  weightsManifest: readonly { weights: readonly WeightSpec[] }[];
}

export interface EdgeModelOptions {
  backend: EdgeBackend;
  file: EdgeModelFile;
  /** Bytes of the shards in their order. Taken out of the array while they are read, so that they can be freed. */
  shards: Uint8Array[];
  mode: EngineMode;
}

/** A name that no layer has. */
const MODEL_NODE = 'edge/model';

/**
 * Errors, when it loads: `model/unsupported` with the name of an op that no kernel serves, `model/damaged`,
 * `engine/memory`.
 */
export function edgeModelHandler(options: EdgeModelOptions): io.IOHandler {
  return { load: async () => loadArtifacts(options) };
}

function loadArtifacts({ backend, file, shards, mode }: EdgeModelOptions): io.ModelArtifacts {
  if (getBackend() !== EDGE_BACKEND) {
    throw new Error(`internal: the backend is "${getBackend()}" while a model is loaded for "${EDGE_BACKEND}"`);
  }
  const stored = new Shards(
    file.weightsManifest.flatMap(({ weights }) => weights),
    shards,
  );
  const constants = new Map<string, Constant>(
    [...stored.weights].map(([name, weight]) => [name, { shape: weight.shape, values: () => stored.values(weight) }]),
  );
  const nodes = file.modelTopology.node;
  const [input, ...others] = nodes.filter(({ op }) => op === 'Placeholder');
  if (input === undefined || others.length > 0) {
    throw new ProductError(
      'model/unsupported',
      `the graph has ${others.length + (input ? 1 : 0)} inputs; one is expected`,
    );
  }
  const network = parseNetwork(nodes, constants);
  const model = backend.engine.load(network, mode, stored);
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
