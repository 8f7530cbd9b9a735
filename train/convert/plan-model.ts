/** What a model, or a network before it is trained, takes of the edge engine's memory, as text for people. */
import { architectureOf, type NetworkName } from '../../shared/architecture.ts';
import { draftNetwork } from '../../shared/engine/draft-network.ts';
import type { EngineMode } from '../../shared/engine/layout.ts';
import { formatMegabytes, MODEL_BUDGET_BYTES, PLATFORMS } from '../../shared/engine/memory-budget.ts';
import { planMemory, type MemoryPlan } from '../../shared/engine/memory-plan.ts';
import { networkFileOf } from '../../shared/engine/network-file.ts';
import { parseNetwork } from '../../shared/engine/parse-network.ts';
import { buildLayerTable, sizeOf } from '../../shared/resnet.ts';
import { buildGraph, type Tensor } from './build-graph.ts';
import { readModel } from './read-model.ts';

export interface NamedPlan {
  name: string;
  plan: MemoryPlan;
}

/** Of a model folder. Errors: those of `readModel`; 'model/unsupported'. */
export async function planFolder(folder: string, mode: EngineMode): Promise<NamedPlan> {
  const { manifest, topology, weights } = await readModel(folder);
  async function* readAll(): AsyncGenerator<Uint8Array> {
    yield weights;
  }
  const { network } = await draftNetwork(networkFileOf(topology), readAll());
  return { name: manifest.name, plan: planMemory(network, mode) };
}

/** Of a named network on 32 x 32 pictures of 10 classes; 'model/unsupported' where the engine cannot run it. */
export function planNetwork(name: NetworkName, mode: EngineMode): NamedPlan {
  const table = buildLayerTable(architectureOf(name, { classes: 10, inputShape: [32, 32, 3] }));
  // Only shapes count; memory that is not written to costs nothing.
  const weights = new Map<string, Tensor>(
    table.flatMap(({ parameters }) =>
      parameters.map(({ name: parameter, shape }) => [parameter, { shape, values: new Float32Array(sizeOf(shape)) }]),
    ),
  );
  const graph = buildGraph(table, weights);
  const constants = new Map(
    graph.weights.map(({ name: constant, shape, values }) => [constant, { shape, values: () => [...values] }]),
  );
  return { name, plan: planMemory(parseNetwork(graph.nodes, constants), mode) };
}

/** The text of `npm run model -- plan`. */
export function formatMemoryPlan(name: string, plan: MemoryPlan): string {
  const { mode, groups, weightBytes, arenaBytes, tapBytes, vectorBytes, scratchBytes, totalBytes } = plan;
  const rows: [string, number, string][] = [
    ...groups.map(({ name: group, kernels, bytes, int16Bytes }): [string, number, string] => [
      `  ${group}`,
      bytes,
      `${kernels} kernel${kernels === 1 ? '' : 's'}${int16Bytes === 0 ? '' : `, ${formatMegabytes(int16Bytes)} of it in 16 bits`}`,
    ]),
    ['weights', weightBytes, ''],
    ['activations', arenaBytes, `all layers at once; ${formatMegabytes(arenaBytes - tapBytes)} for the answer alone`],
    ['plans', vectorBytes, 'gains and shifts of the plans that are kept'],
    ['scratch', scratchBytes, 'of the kernels'],
    ['total', totalBytes, `of WebAssembly memory, mode ${mode}`],
    ...PLATFORMS.map((platform): [string, number, string] => [
      `budget, ${platform}`,
      MODEL_BUDGET_BYTES[platform],
      totalBytes <= MODEL_BUDGET_BYTES[platform]
        ? `fits, ${formatMegabytes(MODEL_BUDGET_BYTES[platform] - totalBytes)} left`
        : `does not fit, ${formatMegabytes(totalBytes - MODEL_BUDGET_BYTES[platform])} too much`,
    ]),
  ];
  const width = Math.max(...rows.map(([label]) => label.length));
  const lines = rows.map(([label, bytes, remark]) =>
    `${label.padEnd(width)}  ${formatMegabytes(bytes).padStart(8)}  ${remark}`.trimEnd(),
  );
  return [name, ...lines].join('\n');
}
