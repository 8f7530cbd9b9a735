/** The linear layer that a network's logits come out of, as its files have it: backends pack weights and let go of them. */
import { locateWeights, WeightCopies, type WeightSpec } from '../../shared/engine/shards.ts';
import { ProductError } from '../../shared/errors.ts';
import { buildLayerTable, findLayer, LOGITS_LAYER, type Parameter, type ParameterRole } from '../../shared/resnet.ts';
import type { Architecture } from '../../shared/architecture.ts';

/** As the graph computes with them: what is stored as float16 or uint8 is decoded. */
export interface LinearWeights {
  /** [features, classes] */
  kernel: Float32Array;
  /** [classes] */
  bias: Float32Array;
}

/**
 * Takes them out of the shards while these pass by.
 *
 * Memory   4 bytes for each value: 20 kB for 512 features and 10 classes
 */
export class LinearWeightsReader {
  readonly #copies: WeightCopies;
  readonly #parameters: readonly Parameter[];

  /**
   * @param specs weights of the weights manifest, in its order
   * Errors 'model/damaged'
   */
  constructor(architecture: Architecture, specs: readonly WeightSpec[]) {
    this.#parameters = findLayer(buildLayerTable(architecture), LOGITS_LAYER).parameters;
    const weights = locateWeights(specs);
    this.#copies = new WeightCopies(
      this.#parameters.map(({ name, shape }) => {
        const stored = weights.get(name);
        if (stored?.shape.join() === shape.join()) return stored;
        throw new ProductError(
          'model/damaged',
          `the weight "${name}" is [${stored?.shape.join(', ') ?? 'not there'}]; [${shape.join(', ')}] is expected; convert the checkpoint again`,
        );
      }),
    );
  }

  /** The next shard, which is not kept. */
  add(shard: Uint8Array): void {
    this.#copies.add(shard);
  }

  /** After the last shard. */
  finish(): LinearWeights {
    return { kernel: this.#read('kernel'), bias: this.#read('bias') };
  }

  #read(wanted: ParameterRole): Float32Array {
    const parameter = this.#parameters.find(({ role }) => role === wanted);
    const values = this.#copies.values(parameter?.name ?? '');
    if (values === undefined) throw new Error(`internal: no ${wanted} of the layer "${LOGITS_LAYER}" was read`);
    return Float32Array.from(values);
  }
}
