/** What the package exports as `resnet18-edge/graph-model`. */
export {
  encodeGraphModel,
  type GraphModelFile,
  type GraphModelSignature,
  type ModelTopology,
  type SignatureTensor,
} from './encode-graph-model.ts';
export type { WeightType } from './encode-weights.ts';
export {
  attribute,
  GraphBuilder,
  type Graph,
  type GraphAttribute,
  type GraphNode,
  type GraphWeight,
} from './graph-def.ts';
export { ProductError } from '../../shared/errors.ts';
