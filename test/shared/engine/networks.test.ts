/** Every kind of layer through `loadGraphModel` and `execute`, each node against tfjs' reference backend. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadGraphModel, type GraphModel } from '@tensorflow/tfjs-converter';
import { getBackend, memory, setBackend, tensor, tidy, type Tensor } from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EDGE_BACKEND, startEdgeBackend, type EdgeBackend } from '../../../shared/engine/backend.ts';
import type { Architecture } from '../../../shared/architecture.ts';
import type { EngineMode } from '../../../shared/engine/layout.ts';
import { edgeModelHandler } from '../../../shared/engine/model-handler.ts';
import type { EdgeModelFile } from '../../../shared/engine/network-file.ts';
import { createRandom } from '../../../train/random.ts';
import { compileEngineModule, largestDifference, standardDeviation } from '../../support/edge-engine.ts';
import { makeSharedFolder } from '../../support/temporary-folder.ts';
import { tinyArchitecture, writeTinyModel, type TinyModelOptions } from '../../support/tiny-model.ts';
import { TINY_NETWORKS } from '../../support/tiny-networks.ts';

interface ModelFiles {
  file: Omit<EdgeModelFile, 'weightsManifest'> & {
    weightsManifest: readonly (EdgeModelFile['weightsManifest'][number] & { paths: readonly string[] })[];
  };
  shards: Uint8Array[];
}

let backend: EdgeBackend;
let folder: string;
let count = 0;

beforeAll(async () => {
  folder = await makeSharedFolder();
  await import('@tensorflow/tfjs-backend-cpu');
  backend = await startEdgeBackend(compileEngineModule());
});

async function writeFiles(options: TinyModelOptions): Promise<ModelFiles> {
  const place = join(folder, `model-${count++}`);
  await writeTinyModel(place, options);
  const file = JSON.parse(readFileSync(join(place, 'model.json'), 'utf8')) as ModelFiles['file'];
  const paths = file.weightsManifest.flatMap((group) => group.paths);
  return { file, shards: paths.map((path) => Uint8Array.from(readFileSync(join(place, path)))) };
}

async function loadOnEdge({ file, shards }: ModelFiles, mode: EngineMode = 'exact'): Promise<GraphModel> {
  await setBackend(EDGE_BACKEND);
  return loadGraphModel(edgeModelHandler({ backend, file, shards: [...shards], mode }));
}

async function loadOnCpu({ file, shards }: ModelFiles): Promise<GraphModel> {
  await setBackend('cpu');
  const weightData = new Uint8Array(Buffer.concat(shards)).buffer;
  const weightSpecs = file.weightsManifest.flatMap(({ weights }) => weights) as never[];
  return loadGraphModel({ load: async () => ({ modelTopology: file.modelTopology, weightSpecs, weightData }) });
}

function computedNodes({ file }: ModelFiles): string[] {
  return file.modelTopology.node.flatMap(({ name, op }) => (op === 'Const' || op === 'Placeholder' ? [] : [name]));
}

function execute(model: GraphModel, values: Float32Array, shape: number[], names: string[]): Float32Array[] {
  return tidy(() => {
    const outputs = model.execute(tensor(values, shape), names);
    return [outputs].flat().map((output) => output.dataSync<'float32'>().slice());
  });
}

describe.each(Object.entries(TINY_NETWORKS))('%s', (_, differences) => {
  test.each([false, true])('gives every node its values, together and alone (folded: %s)', async (isFolded) => {
    const architecture = tinyArchitecture(differences);
    const files = await writeFiles({ architecture, isFolded });
    const shape = [2, ...architecture.inputShape];
    const random = createRandom(4);
    const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.nextNormal());
    const names = computedNodes(files);
    const expected = execute(await loadOnCpu(files), values, shape, names);
    const model = await loadOnEdge(files);
    const together = execute(model, values, shape, names);
    names.forEach((name, index) => {
      const reference = expected[index] ?? [];
      expect(largestDifference(together[index] ?? [], reference), `${name}, with all others`).toBeLessThan(1e-4);
      const [alone] = execute(model, values, shape, [name]);
      expect(largestDifference(alone ?? [], reference), `${name}, alone`).toBeLessThan(1e-4);
    });
    model.dispose();
  });
});

test('no pictures at all give no values, with the shapes of their nodes', async () => {
  const architecture = tinyArchitecture();
  const model = await loadOnEdge(await writeFiles({ architecture }));
  tidy(() => {
    const [map, logits] = [model.execute(tensor([], [0, ...architecture.inputShape]), ['layer1', 'linear'])].flat();
    expect([map?.shape[0], map?.shape.length, logits?.shape]).toEqual([0, 4, [0, 3]]);
    expect([map?.dataSync().length, logits?.dataSync().length]).toEqual([0, 0]);
  });
  model.dispose();
});

/** Depths that the tiny networks above do not reach, and as many pictures as a request may bring. */
const DEEP: readonly { title: string; differences: Partial<Architecture>; batch: number }[] = [
  {
    title: '110 layers of the CIFAR family',
    differences: { stemChannels: 4, widths: [4, 8, 16], blocks: [18, 18, 18] },
    batch: 1,
  },
  {
    title: '152 layers of bottlenecks behind the ImageNet stem',
    differences: {
      stem: 'imagenet',
      block: 'bottleneck',
      stemChannels: 4,
      widths: [2, 4, 8, 16],
      blocks: [3, 8, 36, 3],
      inputShape: [32, 32, 3],
    },
    batch: 1,
  },
  { title: '20 plain layers', differences: { residual: false, widths: [4, 8, 16], blocks: [3, 3, 3] }, batch: 1 },
  {
    title: '32 pictures at a time',
    differences: { shortcut: 'A', widths: [8, 16], inputShape: [16, 16, 3] },
    batch: 32,
  },
];

test.each(DEEP)('$title are computed as the reference does', async ({ differences, batch }) => {
  const architecture = tinyArchitecture(differences);
  const files = await writeFiles({ architecture });
  const shape = [batch, ...architecture.inputShape];
  const random = createRandom(6);
  const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.nextNormal());
  const [expected = []] = execute(await loadOnCpu(files), values, shape, ['linear']);
  const deviation = standardDeviation(expected);
  for (const mode of ['exact', 'fast'] as const) {
    const model = await loadOnEdge(files, mode);
    const [actual = []] = execute(model, values, shape, ['linear']);
    const difference = largestDifference(actual, expected);
    console.log(architecture.blocks.join(), mode, difference, 'deviation', deviation, actual.length);
    expect(difference).toBeLessThan(mode === 'exact' ? 1e-4 * Math.max(1, deviation) : 5e-3 * deviation);
    model.dispose();
  }
});

describe('a network with real widths', () => {
  const architecture = tinyArchitecture({
    stemChannels: 64,
    widths: [64, 128, 128, 160],
    blocks: [1, 1, 1, 1],
    inputShape: [32, 32, 3],
  });
  const shape = [1, 32, 32, 3];
  const random = createRandom(5);
  const values = Float32Array.from({ length: 3072 }, () => random.nextNormal());

  test.each(['float32', 'float16', 'uint8'] as const)('is exact with weights stored as %s', async (weightType) => {
    const files = await writeFiles({ architecture, weightType });
    const [expected = []] = execute(await loadOnCpu(files), values, shape, ['linear']);
    const model = await loadOnEdge(files);
    const [actual = []] = execute(model, values, shape, ['linear']);
    expect(largestDifference(actual, expected)).toBeLessThan(1e-4);
    expect(model.metadata).toEqual({ engine: 'edge', mode: 'exact' });
    model.dispose();
  });

  test('is within 5e-3 of the deviation of the logits when it is fast, and says so', async () => {
    const files = await writeFiles({ architecture });
    const [expected = []] = execute(await loadOnCpu(files), values, shape, ['linear']);
    const model = await loadOnEdge(files, 'fast');
    const [actual = []] = execute(model, values, shape, ['linear']);
    const difference = largestDifference(actual, expected);
    expect(difference).toBeGreaterThan(0);
    expect(difference).toBeLessThan(5e-3 * standardDeviation(expected));
    expect(model.metadata).toEqual({ engine: 'edge', mode: 'fast' });
    model.dispose();
  });
});

describe('a loaded model', () => {
  const shape = [1, 8, 8, 3];
  const values = Float32Array.from({ length: 192 }, (_, index) => Math.sin(index));
  let files: ModelFiles;
  let model: GraphModel;

  beforeAll(async () => {
    files = await writeFiles({});
    model = await loadOnEdge(files);
  });

  afterAll(() => model.dispose());

  test('gives each tensor the values of its own input, read in any order', async () => {
    const [first, second] = [values, values.map((value) => -value)].map((each) => tensor(each, shape));
    if (!first || !second) throw new Error('internal: two tensors');
    const a = model.execute(first, 'layer1') as Tensor;
    const b = model.execute(second, 'layer1') as Tensor;
    const c = model.execute(first, ['layer2', 'linear']) as Tensor[];
    const [expectedB] = execute(
      model,
      values.map((value) => -value),
      shape,
      ['layer1'],
    );
    const [expectedA, expectedC] = execute(model, values, shape, ['layer1', 'linear']);
    expect(b.dataSync()).toEqual(expectedB);
    expect(await c[1]?.data()).toEqual(expectedC);
    expect(a.dataSync()).toEqual(expectedA);
    [first, second, a, b, ...c].forEach((each) => each.dispose());
  });

  test('gives what the input was when it was called', () => {
    const changing = values.slice();
    const [expected] = execute(model, values, shape, ['linear']);
    tidy(() => {
      const output = model.execute(tensor(changing, shape), 'linear') as Tensor;
      changing.fill(7);
      expect(output.dataSync()).toEqual(expected);
    });
  });

  test('two nodes with the same values do not share an array', () => {
    tidy(() => {
      const [a, b] = model.execute(tensor(values, shape), ['layer1', 'layer1.0']) as Tensor[];
      a?.dataSync().fill(0);
      expect(Array.from(b?.dataSync() ?? []).some((value) => value !== 0)).toBe(true);
    });
  });

  test('what was handed out can be read after the model is disposed of', async () => {
    const other = await loadOnEdge(files);
    const [expected] = execute(other, values, shape, ['linear']);
    const input = tensor(values, shape);
    const output = other.execute(input, 'linear') as Tensor;
    other.dispose();
    expect(output.dataSync()).toEqual(expected);
    input.dispose();
    output.dispose();
  });

  test('predict gives the outputs of the signature', () => {
    tidy(() => {
      const outputs = model.predict(tensor(values, shape)) as Tensor[];
      expect(outputs.map((output) => output.shape)).toEqual([
        [1, 3],
        [1, 3],
      ]);
    });
  });

  test('refuses nodes that it does not have, and inputs of another shape', () => {
    tidy(() => {
      expect(() => model.execute(tensor(values, shape), 'layer9')).toThrow(/layer9/);
      expect(() => model.execute(tensor(values, [1, 3, 8, 8]), 'linear')).toThrow(/shape/);
    });
  });

  test('leaves nothing behind, and the next one takes its memory', async () => {
    const before = memory().numTensors;
    const use = async (): Promise<void> => {
      const other = await loadOnEdge(files, 'fast');
      execute(other, values, shape, ['linear', 'layer1']);
      other.dispose();
    };
    await use();
    const once = backend.memory();
    // One after the other, as a server swaps.
    for (let swap = 0; swap < 100; swap++) await use();
    expect(backend.memory()).toEqual(once);
    expect(memory().numTensors).toBe(before);
    expect(getBackend()).toBe(EDGE_BACKEND);
  });

  test('is refused with the name of an op that no kernel serves', async () => {
    const node = files.file.modelTopology.node.map((each) => (each.op === 'Relu' ? { ...each, op: 'Elu' } : each));
    const file = { ...files.file, modelTopology: { ...files.file.modelTopology, node } };
    const before = backend.memory();
    await expect(loadOnEdge({ ...files, file })).rejects.toMatchObject({
      code: 'model/unsupported',
      message: expect.stringContaining('"Elu"') as string,
    });
    expect(backend.memory()).toEqual(before);
  });

  test('is refused when its shards do not hold its weights', async () => {
    const shards = files.shards.map((shard) => shard.subarray(0, -4));
    await expect(loadOnEdge({ ...files, shards })).rejects.toMatchObject({ code: 'model/damaged' });
  });
});
