import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { MAX_SHARD_BYTES } from '../../../shared/manifest.ts';
import { buildLayerTable } from '../../../shared/resnet.ts';
import { buildGraph } from '../../../train/convert/build-graph.ts';
import { splitIntoShards, type ModelTopology } from '../../../train/convert/encode-graph-model.ts';
import { writeModel } from '../../../train/convert/write-model.ts';
import {
  randomWeights,
  tinyArchitecture,
  tinyModelSource,
  writeTinyModel,
  writeTinyStore,
} from '../../support/tiny-model.ts';
import { makeTemporaryFolder } from '../../support/temporary-folder.ts';

const FLOAT32 = { weightType: 'float32', isFolded: false } as const;

let root: string;
beforeEach(async () => {
  root = await makeTemporaryFolder();
});

describe('the graph', () => {
  const describeNodes = (architecture = tinyArchitecture()): string[] =>
    buildGraph(buildLayerTable(architecture), randomWeights(architecture, 1))
      .nodes.filter(({ op }) => op !== 'Const')
      .map(({ name, op, input }) => `${op} ${name} <- ${input.join(' ')}`);

  it('has one node of standard ops per row, under the name of the row', () => {
    expect(describeNodes(tinyArchitecture({ blocks: [1], widths: [4] }))).toEqual([
      'Placeholder input <- ',
      'Conv2D conv1 <- input conv1.weight',
      'FusedBatchNormV3 bn1 <- conv1 bn1.weight bn1.bias bn1.running_mean bn1.running_var',
      'Relu relu <- bn1',
      'Conv2D layer1.0.conv1 <- relu layer1.0.conv1.weight',
      'FusedBatchNormV3 layer1.0.bn1 <- layer1.0.conv1 layer1.0.bn1.weight layer1.0.bn1.bias layer1.0.bn1.running_mean layer1.0.bn1.running_var',
      'Relu layer1.0.relu1 <- layer1.0.bn1',
      'Conv2D layer1.0.conv2 <- layer1.0.relu1 layer1.0.conv2.weight',
      'FusedBatchNormV3 layer1.0.bn2 <- layer1.0.conv2 layer1.0.bn2.weight layer1.0.bn2.bias layer1.0.bn2.running_mean layer1.0.bn2.running_var',
      'Identity layer1.0.shortcut <- relu',
      'AddV2 layer1.0.add <- layer1.0.bn2 layer1.0.shortcut',
      'Relu layer1.0 <- layer1.0.add',
      'Identity layer1 <- layer1.0',
      'Mean avgpool <- layer1 avgpool/axes',
      'MatMul linear/MatMul <- avgpool linear.weight',
      'BiasAdd linear <- linear/MatMul linear.bias',
      'Softmax probs <- linear',
    ]);
  });

  it('pads channels and max pooling with ops that tfjs has', () => {
    expect(describeNodes(tinyArchitecture({ shortcut: 'A', stem: 'imagenet', inputShape: [32, 32, 3] }))).toEqual(
      expect.arrayContaining([
        'PadV2 maxpool/PadV2 <- relu maxpool/paddings maxpool/lowest',
        'MaxPool maxpool <- maxpool/PadV2',
        'StridedSlice layer2.0.shortcut/StridedSlice <- layer1 layer2.0.shortcut/begin layer2.0.shortcut/end layer2.0.shortcut/strides',
        'Pad layer2.0.shortcut <- layer2.0.shortcut/StridedSlice layer2.0.shortcut/paddings',
      ]),
    );
  });

  it('spells out the padding of a convolution that halves the map', () => {
    const architecture = tinyArchitecture();
    const { nodes } = buildGraph(buildLayerTable(architecture), randomWeights(architecture, 1));
    expect(nodes.find(({ name }) => name === 'layer2.0.conv1')?.attr).toEqual({
      T: { type: 'DT_FLOAT' },
      strides: { list: { i: ['1', '2', '2', '1'] } },
      dilations: { list: { i: ['1', '1', '1', '1'] } },
      data_format: { s: btoa('NHWC') },
      padding: { s: btoa('EXPLICIT') },
      explicit_paddings: { list: { i: ['0', '0', '1', '1', '1', '1', '0', '0'] } },
    });
    expect(nodes.find(({ name }) => name === 'layer2.0.shortcut.0')?.attr).toMatchObject({
      padding: { s: btoa('VALID') },
      explicit_paddings: { list: { i: [] } },
    });
    expect(nodes.find(({ name }) => name === 'bn1')?.attr).toMatchObject({
      epsilon: { f: 1e-5 },
      is_training: { b: false },
    });
  });

  it.each([
    [
      'lacks a tensor',
      (weights: Map<string, unknown>) => weights.delete('bn1.bias'),
      /lack the tensor "bn1\.bias" of shape \[4\]/,
    ],
    [
      'has one too many',
      (weights: Map<string, unknown>) => weights.set('bn9.bias', weights.get('bn1.bias')),
      /"bn9\.bias" that the network does not have/,
    ],
    [
      'has another shape',
      (weights: Map<string, unknown>) => weights.set('bn1.bias', { shape: [2, 2], values: new Float32Array(4) }),
      /"bn1\.bias" has shape \[2, 2\] and 4 values, the network expects \[4\]/,
    ],
    [
      'has diverged',
      (weights: Map<string, unknown>) =>
        weights.set('bn1.bias', { shape: [4], values: Float32Array.of(0, 1, Number.NaN, 0) }),
      /"bn1\.bias" holds values that are not finite/,
    ],
  ])('is refused when the checkpoint %s', (_case, change, message) => {
    const weights = randomWeights(tinyArchitecture(), 1);
    change(weights);
    const write = (): unknown => buildGraph(buildLayerTable(tinyArchitecture()), weights);
    expect(write).toThrow(message);
    expect(write).toThrow(expect.objectContaining({ code: 'checkpoint/mismatch' }));
  });
});

describe('the folder', () => {
  it('holds model.json, shards and the manifest, and nothing else is left behind', async () => {
    const folder = path.join(root, 'made', 'model');
    const manifest = await writeTinyModel(folder, { name: 'tiny.one' });
    expect((await readdir(folder)).toSorted()).toEqual(['group1-shard1of1.bin', 'manifest.json', 'model.json']);
    expect(await readdir(path.join(root, 'made'))).toEqual(['model']);
    expect(JSON.parse(await readFile(path.join(folder, 'manifest.json'), 'utf8'))).toEqual(manifest);
    expect(manifest).toMatchObject({ name: 'tiny.one', weightType: 'float32', isFolded: false, temperature: 1 });
    expect(manifest.files.map((file) => file.path)).toEqual(['model.json', 'group1-shard1of1.bin']);
  });

  it('has the signature that loaders look for', async () => {
    const folder = path.join(root, 'model');
    await writeTinyModel(folder);
    const topology = JSON.parse(await readFile(path.join(folder, 'model.json'), 'utf8')) as ModelTopology;
    const shape = (sizes: number[]) => ({ dim: sizes.map((size) => ({ size: String(size) })) });
    expect(topology.format).toBe('graph-model');
    expect(topology.signature).toEqual({
      inputs: { input: { name: 'input:0', dtype: 'DT_FLOAT', tensorShape: shape([-1, 8, 8, 3]) } },
      outputs: {
        logits: { name: 'linear:0', dtype: 'DT_FLOAT', tensorShape: shape([-1, 3]) },
        probs: { name: 'probs:0', dtype: 'DT_FLOAT', tensorShape: shape([-1, 3]) },
      },
    });
  });

  it('is never overwritten', async () => {
    const folder = path.join(root, 'model');
    await mkdir(folder);
    await writeFile(path.join(folder, 'precious.txt'), 'mine');
    await expect(writeTinyModel(folder)).rejects.toThrow(/is there already and not empty/);
    expect(await readdir(folder)).toEqual(['precious.txt']);
    expect(await readdir(root)).toEqual(['model']);
  });

  it('does not come into being when the weights do not fit', async () => {
    const source = tinyModelSource();
    const weights = new Map([
      ...source.weights,
      ['conv1.weight', { shape: [3, 3, 3, 4], values: new Float32Array(108).fill(1e6) }] as const,
    ]);
    const write = writeModel(
      { ...source, weights },
      { weightType: 'float16', isFolded: false },
      path.join(root, 'model'),
    );
    await expect(write).rejects.toMatchObject({ code: 'model/unsupported' });
    expect(await readdir(root)).toEqual([]);
  });

  it('has shards of at most 4 MiB that are cut anywhere', () => {
    const parts = [
      new Uint8Array(3).fill(1),
      new Uint8Array(MAX_SHARD_BYTES).fill(2),
      new Uint8Array(MAX_SHARD_BYTES).fill(3),
    ];
    const shards = splitIntoShards(parts);
    expect(shards.map((shard) => shard.length)).toEqual([MAX_SHARD_BYTES, MAX_SHARD_BYTES, 3]);
    expect(Buffer.concat(shards).equals(Buffer.concat(parts))).toBe(true);
    expect(splitIntoShards([new Uint8Array(MAX_SHARD_BYTES)])).toHaveLength(1);
  });

  it('takes its place in a model store under its id', async () => {
    const manifest = await writeTinyStore(path.join(root, 'store'), { channel: 'tiny' });
    expect((await readdir(path.join(root, 'store'))).toSorted()).toEqual([manifest.modelId, 'channels'].toSorted());
    expect(JSON.parse(await readFile(path.join(root, 'store/channels/tiny.json'), 'utf8'))).toEqual({
      champion: manifest.modelId,
      seq: 0,
      previous: [],
    });
  });
});

describe('the model id', () => {
  let written = 0;
  const idOf = async (change: Parameters<typeof writeTinyModel>[1] = {}): Promise<string> =>
    (await writeTinyModel(path.join(root, `model-${(written += 1)}`), change)).modelId;

  it('is the same for the same model', async () => {
    expect(await idOf()).toBe(await idOf());
  });

  it('changes with everything that a model is', async () => {
    const ids = [
      await idOf(),
      await idOf({ name: 'tiny.renamed' }),
      await idOf({ seed: 2 }),
      await idOf({ classNames: ['a', 'b', 'c'] }),
      await idOf({ weightType: 'float16' }),
      await idOf({ weightType: 'uint8' }),
      await idOf({ isFolded: true }),
      await idOf({ architecture: tinyArchitecture({ dropout: [{ after: 'avgpool', rate: 0.1 }] }) }),
    ];
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('changes with the last bit of one weight', async () => {
    const source = tinyModelSource();
    const { modelId } = await writeModel(source, FLOAT32, path.join(root, 'one'));
    const bias = source.weights.get('linear.bias')?.values ?? new Float32Array();
    const bits = new Uint32Array(bias.buffer);
    bits[2] = (bits[2] ?? 0) ^ 1;
    const other = await writeModel(source, FLOAT32, path.join(root, 'two'));
    expect(other.modelId).not.toBe(modelId);
  });
});
