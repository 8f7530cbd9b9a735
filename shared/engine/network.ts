/**
 * A graph model as the engine understands it: a list of steps in the order of computation, each with one output map.
 *
 * Fused ops of the file (`_FusedConv2D`) are taken apart into the same steps as the plain ones: what is fused when it
 * runs is decided by the plan, for the outputs that are asked for.
 */

/** Height, width and channels of a map; a vector of features is a map of 1 x 1 pixels. */
export interface MapShape {
  height: number;
  width: number;
  channels: number;
}

/** Pixels that are added at each edge. */
export interface Edges {
  top: number;
  left: number;
  bottom: number;
  right: number;
}

export type Operation =
  | { kind: 'input' }
  | { kind: 'alias' }
  /** Kernel weight [height, width, in, out], or [in, out] of a dense layer. */
  | { kind: 'convolution'; kernel: string; height: number; width: number; stride: number; padding: Edges }
  /** y = x * gain + shift per channel: batch norm, or a bias. */
  | { kind: 'channels'; gain: Float64Array; shift: Float64Array }
  | { kind: 'relu' }
  | { kind: 'sigmoid' }
  | { kind: 'softmax' }
  | { kind: 'combine'; operation: 'add' | 'subtract' | 'multiply' }
  /** y = x * factor + term */
  | { kind: 'linear'; factor: number; term: number }
  /** Edges and channels before and after, filled with one value. */
  | { kind: 'pad'; edges: Edges; before: number; value: number }
  /** Every `stride`-th pixel. */
  | { kind: 'subsample'; stride: number }
  | { kind: 'maxPool'; height: number; width: number; strideY: number; strideX: number; padding: Edges }
  | { kind: 'average' };

export interface NetworkNode {
  name: string;
  /** Indices of nodes before this one. */
  inputs: readonly number[];
  operation: Operation;
  shape: MapShape;
  /** Whether the tensor has the axes height and width. */
  isMap: boolean;
}

export interface Network {
  nodes: readonly NetworkNode[];
  /** Index of the node with the values of a graph node; parts of fused ops are not in it. */
  indexOfNode: ReadonlyMap<string, number>;
}
