/** The parts of a `model.json` that a network is made of. */
import type { GraphDefNode } from './graph-def.ts';
import type { WeightSpec } from './shards.ts';

/** What the engine reads of a `model.json`. */
export interface EdgeModelFile {
  format?: string;
  signature?: object;
  modelTopology: { node: readonly GraphDefNode[]; versions: object };
  weightsManifest: readonly { weights: readonly WeightSpec[] }[];
}

export interface NetworkFile {
  nodes: readonly GraphDefNode[];
  /** Weights of the weights manifest, in its order. */
  specs: readonly WeightSpec[];
}

export function networkFileOf({ modelTopology, weightsManifest }: EdgeModelFile): NetworkFile {
  return { nodes: modelTopology.node, specs: weightsManifest.flatMap(({ weights }) => weights) };
}
