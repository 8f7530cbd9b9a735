/**
 * A network before its weights are here. Most graphs say all shapes by themselves; some have them in small integer
 * constants among the weights (paddings, strides), and then so many shards are read as it takes to find these.
 */
import type { GraphDefNode } from './graph-def.ts';
import type { NetworkFile } from './network-file.ts';
import type { Network } from './network.ts';
import { parseNetwork, type Constant } from './parse-network.ts';
import { assertComplete, countValues, locateWeights, WeightCopies, type StoredWeight } from './shards.ts';

/** The shards in their order, each once. */
export type ShardStream = AsyncIterator<Uint8Array, unknown, undefined>;

export interface NetworkDraft {
  /** All shapes are right; the values of vectors are not there yet. */
  network: Network;
  /** Shards that were read for it. */
  read: readonly Uint8Array[];
}

/** Thrown while parsing, and caught here: the graph depends on a constant that has not arrived. */
class MissingConstant extends Error {}

/** Errors: those of `parseNetwork`, and of the stream; `model/damaged` when that ends before the constants have come. */
export async function draftNetwork({ nodes, specs }: NetworkFile, shards: ShardStream): Promise<NetworkDraft> {
  const weights = locateWeights(specs);
  const integers = new WeightCopies([...weights.values()].filter(({ isInteger }) => isInteger));
  const constants = draftConstants(nodes, weights, integers);
  const read: Uint8Array[] = [];
  for (;;) {
    try {
      return { network: parseNetwork(nodes, constants), read };
    } catch (error) {
      if (!(error instanceof MissingConstant)) throw error;
      const { done, value } = await shards.next();
      if (done === true) {
        assertComplete(
          weights,
          read.reduce((sum, shard) => sum + shard.length, 0),
        );
        throw new Error('internal: the shards have no such constant', { cause: error });
      }
      integers.add(value);
      read.push(value);
    }
  }
}

function draftConstants(
  nodes: readonly GraphDefNode[],
  weights: ReadonlyMap<string, StoredWeight>,
  integers: WeightCopies,
): ReadonlyMap<string, Constant> {
  // The axes of a mean lie at the end of a file; only height and width can be averaged, which is checked with the rest.
  const axes = new Set(nodes.flatMap(({ op, input }) => (op === 'Mean' ? [input?.[1]?.replace(/:0$/, '')] : [])));
  const readInteger = (name: string): number[] => {
    const values = integers.values(name) ?? (axes.has(name) ? [1, 2] : undefined);
    if (values === undefined) throw new MissingConstant(name);
    return values;
  };
  return new Map(
    [...weights].map(([name, { shape, isInteger }]) => {
      const values = isInteger ? () => readInteger(name) : () => Array.from({ length: countValues(shape) }, () => 0);
      return [name, { shape, values }];
    }),
  );
}
