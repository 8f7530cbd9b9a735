/**
 * A graph and its weights as the files of a TensorFlow.js graph model: `model.json` and shards. Knows no network: any graph
 * of ops that `@tensorflow/tfjs-converter` reads will do.
 */
import { MAX_SHARD_BYTES, TOPOLOGY_FILE } from '../../shared/manifest.ts';
import { encodeWeight } from './encode-weights.ts';
import type { WeightSpec, WeightType } from './encode-weights.ts';
import { tensorShape } from './graph-def.ts';
import type { Graph, TensorShape } from './graph-def.ts';

/** What `model.json` holds; the format of `loadGraphModel`. */
export interface ModelTopology {
  format: 'graph-model';
  generatedBy: string;
  convertedBy: string;
  signature: { inputs: Record<string, SignatureEntry>; outputs: Record<string, SignatureEntry> };
  modelTopology: { node: Graph['nodes']; library: Record<string, never>; versions: { producer: number } };
  weightsManifest: { paths: string[]; weights: WeightSpec[] }[];
}

interface SignatureEntry {
  name: string;
  dtype: 'DT_FLOAT';
  tensorShape: TensorShape;
}

/** A node that is fed or asked for, float32. */
export interface SignatureTensor {
  node: string;
  /** Without the batch. */
  shape: readonly number[];
}

/** What a caller may call the tensors of the model. */
export interface GraphModelSignature {
  inputs: Readonly<Record<string, SignatureTensor>>;
  outputs: Readonly<Record<string, SignatureTensor>>;
}

export interface GraphModelFile {
  /** Its name beside the others. */
  path: string;
  bytes: Uint8Array;
}

const CONVERTER = 'resnet18-edge';
/** GraphDef version of a recent TensorFlow; TensorFlow.js shows it as `modelVersion` and decides nothing by it. */
const GRAPH_PRODUCER = 1482;

/**
 * The files of the model, `model.json` first. Weights of two or more dimensions are stored as `weightType`.
 *
 * Errors   'model/unsupported' when a value does not fit the weight type
 */
export function encodeGraphModel(
  graph: Graph,
  { signature, weightType }: { signature: GraphModelSignature; weightType: WeightType },
): GraphModelFile[] {
  const encoded = graph.weights.map((weight) => encodeWeight(weight, weightType));
  const shards = splitIntoShards(encoded.map(({ bytes }) => bytes));
  const paths = shards.map((_, index) => `group1-shard${index + 1}of${shards.length}.bin`);
  const topology: ModelTopology = {
    format: 'graph-model',
    generatedBy: CONVERTER,
    convertedBy: CONVERTER,
    signature: { inputs: describeTensors(signature.inputs), outputs: describeTensors(signature.outputs) },
    modelTopology: { node: graph.nodes, library: {}, versions: { producer: GRAPH_PRODUCER } },
    weightsManifest: [{ paths, weights: encoded.map(({ spec }) => spec) }],
  };
  return [
    { path: TOPOLOGY_FILE, bytes: Buffer.from(JSON.stringify(topology)) },
    ...shards.map((bytes, index) => ({ path: paths[index] ?? '', bytes })),
  ];
}

function describeTensors(tensors: Readonly<Record<string, SignatureTensor>>): Record<string, SignatureEntry> {
  const entries = Object.entries(tensors).map(([name, { node, shape }]) => {
    const entry = { name: `${node}:0`, dtype: 'DT_FLOAT', tensorShape: tensorShape([-1, ...shape]) } as const;
    return [name, entry] as const;
  });
  return Object.fromEntries(entries);
}

/** The parts one after the other, cut into shards of at most {@link MAX_SHARD_BYTES}. */
export function splitIntoShards(parts: readonly Uint8Array[]): Uint8Array[] {
  const all = Buffer.concat(parts);
  const count = Math.max(1, Math.ceil(all.length / MAX_SHARD_BYTES));
  return Array.from({ length: count }, (_, index) =>
    all.subarray(index * MAX_SHARD_BYTES, (index + 1) * MAX_SHARD_BYTES),
  );
}
