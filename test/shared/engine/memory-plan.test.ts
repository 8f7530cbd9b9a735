/** What the plan of a model's memory says, held against an engine that runs the model. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadGraphModel } from '@tensorflow/tfjs-converter';
import { tidy, zeros, type Tensor } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { startEdgeBackend } from '../../../shared/engine/backend.ts';
import { draftNetwork } from '../../../shared/engine/draft-network.ts';
import { MODEL_BUDGET_BYTES } from '../../../shared/engine/memory-budget.ts';
import { planMemory } from '../../../shared/engine/memory-plan.ts';
import { edgeModelHandler } from '../../../shared/engine/model-handler.ts';
import { networkFileOf, type EdgeModelFile } from '../../../shared/engine/network-file.ts';
import { compileEngineModule } from '../../support/edge-engine.ts';
import { makeSharedFolder } from '../../support/temporary-folder.ts';
import { TINY_NETWORKS } from '../../support/tiny-networks.ts';
import { tinyArchitecture, writeTinyModel } from '../../support/tiny-model.ts';

interface Folder {
  file: EdgeModelFile;
  shards: Uint8Array[];
}

function readFolder(folder: string): Folder {
  const file = JSON.parse(readFileSync(join(folder, 'model.json'), 'utf8')) as Omit<
    EdgeModelFile,
    'weightsManifest'
  > & {
    weightsManifest: (EdgeModelFile['weightsManifest'][number] & { paths: string[] })[];
  };
  const paths = file.weightsManifest.flatMap((group) => group.paths);
  return { file, shards: paths.map((path) => Uint8Array.from(readFileSync(join(folder, path)))) };
}

/** How many shards were read for it, too. */
async function planOf({ file, shards }: Folder, mode: 'fast' | 'exact' = 'fast') {
  let read = 0;
  async function* stream(): AsyncGenerator<Uint8Array> {
    for (const shard of shards) {
      read++;
      yield shard;
    }
  }
  const { network } = await draftNetwork(networkFileOf(file), stream());
  return { plan: planMemory(network, mode), read };
}

const SHIPPED = join('serve/models', readdirSync('serve/models').find((name) => name.length === 64) ?? '');
const PAGE = 65_536;

describe('the memory plan', () => {
  test.each(['fast', 'exact'] as const)('of the shipped model is what the engine takes in mode %s', async (mode) => {
    const folder = readFolder(SHIPPED);
    const { plan, read } = await planOf(folder, mode);
    expect(read).toBe(0);
    const backend = await startEdgeBackend(compileEngineModule());
    const { file, shards } = folder;
    const model = await loadGraphModel(edgeModelHandler({ backend, file, shards, mode }));
    expect(backend.memory().weightBytes).toBe(plan.weightBytes);
    expect(plan.groups.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(plan.weightBytes);
    const nodes = file.modelTopology.node.flatMap(({ name, op }) => (/Const|Placeholder/.test(op) ? [] : [name]));
    // More plans than are kept; the first one has every node.
    for (const names of [nodes, ...nodes.slice(-12).map((name) => [name])]) {
      tidy(() => [model.execute(zeros([1, 32, 32, 3]), names)].flat().forEach((output: Tensor) => output.dataSync()));
    }
    const { wasmBytes, arenaBytes } = backend.memory();
    expect(arenaBytes).toBe(plan.arenaBytes);
    // Of the plan with the most vectors there is one, so a little less is taken than planned.
    expect(wasmBytes).toBeLessThanOrEqual(Math.ceil(plan.totalBytes / PAGE) * PAGE);
    expect(wasmBytes).toBeGreaterThan(plan.totalBytes - plan.vectorBytes - PAGE);
    model.dispose();
  });

  test('of the shipped model fits into a Worker in mode fast, and in mode exact on Node only', async () => {
    const folder = readFolder(SHIPPED);
    expect((await planOf(folder)).plan.totalBytes).toBeLessThan(MODEL_BUDGET_BYTES.worker);
    const exact = (await planOf(folder, 'exact')).plan.totalBytes;
    expect(exact).toBeGreaterThan(MODEL_BUDGET_BYTES.worker);
    expect(exact).toBeLessThan(MODEL_BUDGET_BYTES.node);
  });

  test('of shards that end before a constant that shapes depend on is told as damage', async () => {
    const place = join(await makeSharedFolder(), 'model');
    await writeTinyModel(place, { architecture: tinyArchitecture({ shortcut: 'A', widths: [4, 7] }) });
    const { file, shards } = readFolder(place);
    expect(file.modelTopology.node.map(({ op }) => op)).toContain('Pad');
    const size = shards.reduce((sum, shard) => sum + shard.length, 0);
    const cut = shards.slice(0, 1).map((shard) => shard.subarray(0, 20));
    const damaged = {
      code: 'model/damaged',
      message: `the weights manifest describes ${size} bytes, the shards have 20; copy the model folder again`,
    };
    await expect(planOf({ file, shards: cut })).rejects.toMatchObject(damaged);
  });

  test.each(Object.entries(TINY_NETWORKS))('of %s is made without the weights', async (_name, differences) => {
    const place = join(await makeSharedFolder(), 'model');
    await writeTinyModel(place, { architecture: tinyArchitecture(differences) });
    const folder = readFolder(place);
    const { plan } = await planOf(folder);
    const backend = await startEdgeBackend(compileEngineModule());
    const { file, shards } = folder;
    const model = await loadGraphModel(edgeModelHandler({ backend, file, shards, mode: 'fast' }));
    expect(backend.memory().weightBytes).toBe(plan.weightBytes);
    model.dispose();
  });
});
