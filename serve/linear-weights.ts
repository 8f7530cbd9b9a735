/** The linear layer that a network's logits come out of, as its files have it: backends pack weights and let go of them. */
import { Shards, type WeightSpec } from '../shared/engine/shards.ts';
import { ProductError } from '../shared/errors.ts';
import { buildLayerTable, findLayer, LOGITS_LAYER, type ParameterRole } from '../shared/resnet.ts';
import type { Architecture } from '../shared/architecture.ts';

/** As the graph computes with them: what is stored as float16 or uint8 is decoded. */
export interface LinearWeights {
  /** [features, classes] */
  kernel: Float32Array;
  /** [classes] */
  bias: Float32Array;
}

/**
 * Copy them out of the shards, which stay as they are.
 *
 * @param specs  weights of the weights manifest, in its order
 * @param shards verified bytes, in the order of the weights manifest
 * Memory   4 bytes for each value: 20 kB for 512 features and 10 classes
 * Errors   'model/damaged'
 */
export function readLinearWeights(
  architecture: Architecture,
  specs: readonly WeightSpec[],
  shards: Iterable<Uint8Array>,
): LinearWeights {
  const { parameters } = findLayer(buildLayerTable(architecture), LOGITS_LAYER);
  const weights = new Shards(specs, [...shards]);
  const read = (wanted: ParameterRole): Float32Array => {
    const parameter = parameters.find(({ role }) => role === wanted);
    if (parameter === undefined) throw new Error(`internal: the layer "${LOGITS_LAYER}" has no ${wanted}`);
    const { name, shape } = parameter;
    const stored = weights.weights.get(name);
    if (stored?.shape.join() !== shape.join()) {
      throw new ProductError(
        'model/damaged',
        `the weight "${name}" is [${stored?.shape.join(', ') ?? 'not there'}]; [${shape.join(', ')}] is expected; convert the checkpoint again`,
      );
    }
    return Float32Array.from(weights.values(stored));
  };
  return { kernel: read('kernel'), bias: read('bias') };
}
