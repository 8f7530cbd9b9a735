/**
 * `npm run bench:edge`: the edge engine beside stock tfjs-wasm and onnxruntime, one thread, one picture at a time, medians
 * of interleaved rounds in one process. Ratios of one run mean something, times of two runs do not: the machine differs.
 *
 *   --model DIR      the model folder (default: the shipped one)
 *   --rounds N       interleaved rounds (default 40)
 *   --layers         time per step of the plan, and its share of the multiply-add peak
 *   --images N       accuracy and agreement over N test images (CIFAR10_DIR names the data)
 *   --workerd        the edge engine beside stock tfjs-wasm inside workerd, timed from outside
 *   --memory         WebAssembly memory and JavaScript heap after 1,000 pictures, and after 100 swaps
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { setBackend, tensor4d, tidy, type Tensor } from '@tensorflow/tfjs-core';
import { argMax } from '../../shared/classification.ts';
import type { EdgeBackend } from '../../shared/engine/backend.ts';
import type { EngineModel } from '../../shared/engine/engine.ts';
import { countMultiplyAdds } from '../../shared/engine/plan.ts';
import { LOGITS_LAYER } from '../../shared/resnet.ts';
import { readCifar10 } from '../../train/dataset.ts';
import { testBatches } from '../../train/convert/evaluate-model.ts';
import { standardDeviation } from '../support/edge-engine.ts';
import {
  loadEdge,
  loadOnnxContenders,
  loadStock,
  startEdge,
  type Contender,
  type EdgeContender,
} from './edge-contenders.ts';
import { measureInWorkerd } from './edge-in-workerd.ts';
import { median } from './median.ts';

const SHIPPED = 'serve/models';

const { values: flags } = parseArgs({
  options: {
    model: { type: 'string' },
    rounds: { type: 'string', default: '40' },
    layers: { type: 'boolean', default: false },
    images: { type: 'string' },
    workerd: { type: 'boolean', default: false },
    memory: { type: 'boolean', default: false },
  },
});

const shipped = readdirSync(SHIPPED).find((name) => name.length === 64);
const folder = flags.model ?? join(SHIPPED, shipped ?? '');
const scratch = mkdtempSync(join(tmpdir(), 'bench-edge-'));
console.log(`${cpus()[0]?.model ?? 'unknown CPU'}; Node ${process.version}, V8 ${process.versions.v8}; ${folder}`);
try {
  if (flags.workerd) await measureInWorkerd({ folder, scratch, rounds: Number(flags.rounds) });
  else if (flags.memory) await measureMemory();
  else if (flags.images !== undefined) await measureAgreement(Number(flags.images));
  else await measureTime(Number(flags.rounds));
  if (flags.layers) await measureLayers();
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

/** Numbers like those of normalised pictures, always the same. */
function makePicture({ folder: { manifest } }: EdgeContender): Float32Array {
  const size = manifest.architecture.inputShape.reduce((product, dimension) => product * dimension, 1);
  return Float32Array.from({ length: size }, (_, index) => Math.sin(index * 0.37) * 1.5);
}

async function measureTime(rounds: number): Promise<void> {
  const stock = await loadStock(folder, scratch);
  const exact = await loadEdge(folder, 'exact');
  const fast = await loadEdge(folder, 'fast');
  const picture = makePicture(exact);
  const taps = exact.folder.manifest.layers;
  const stages = taps.filter(({ name }) => /^layer\d$|^probs$|^linear$/.test(name)).map(({ node }) => node);
  const contenders: Contender[] = [
    stock,
    exact,
    fast,
    tapContender('edge fast, 4 stages + probs', fast, stages),
    tapContender(
      `edge fast, all ${taps.length} layers`,
      fast,
      taps.map(({ node }) => node),
    ),
    ...(await loadOnnxContenders(folder)),
  ];
  const expected = await stock.classify(picture);
  const times = new Map(contenders.map(({ name }) => [name, [] as number[]]));
  for (let round = -5; round < rounds; round++) {
    for (const { name, classify } of contenders) {
      // The first one of three puts the contender's own data back into the caches.
      await classify(picture);
      for (let run = 0; run < 2; run++) {
        const start = performance.now();
        await classify(picture);
        if (round >= 0) times.get(name)?.push(performance.now() - start);
      }
    }
  }
  const stockMs = median(times.get(stock.name) ?? []);
  const fastMs = median(times.get(fast.name) ?? []);
  for (const { name, classify } of contenders) {
    const ms = median(times.get(name) ?? []);
    const logits = await classify(picture);
    const error = Math.max(...expected.map((value, index) => Math.abs(value - (logits[index] ?? Number.NaN))));
    console.log(
      `${name.padEnd(32)} ${ms.toFixed(2).padStart(7)} ms   stock/this ${(stockMs / ms).toFixed(2)}x   this/fast ${(ms / fastMs).toFixed(2)}x   largest logit difference ${error.toExponential(1)}`,
    );
  }
  console.log(`deviation of the logits: ${standardDeviation(expected).toFixed(3)}`);
}

/** Runs for several nodes at once and reads all of them; gives the logits. */
function tapContender(
  name: string,
  { model, folder: { manifest } }: EdgeContender,
  nodes: readonly string[],
): Contender {
  const [height, width, channels] = manifest.architecture.inputShape;
  const names = nodes.filter((node) => node !== 'input');
  return {
    name,
    async classify(picture) {
      await setBackend('edge');
      let logits = new Float32Array();
      tidy(() => {
        const outputs = [model.execute(tensor4d(picture, [1, height, width, channels]), names)].flat();
        const values = outputs.map((output: Tensor) => output.dataSync<'float32'>());
        logits = Float32Array.from(values[names.indexOf(LOGITS_LAYER)] ?? []);
      });
      return logits;
    },
  };
}

async function measureLayers(): Promise<void> {
  const backend = await startEdge();
  const { model } = await loadEdge(folder, 'fast');
  const engineModel = engineModelOf(backend, model.weights);
  const index = engineModel.network.indexOfNode.get(LOGITS_LAYER) ?? 0;
  const size = engineModel.network.nodes[0]?.shape ?? { height: 0, width: 0, channels: 0 };
  engineModel.run(new Float32Array(size.height * size.width * size.channels).fill(0.5), 1, [index]);
  const peak = measurePeak(backend);
  console.log(`multiply-add peak: ${peak.toFixed(1)} G/s`);
  const { runs } = engineModel.bindFor([index]);
  let total = 0;
  let work = 0;
  engineModel.planFor([index]).steps.forEach((step, time) => {
    const run = runs[time];
    if (run === undefined || step.operation.kind === 'input') return;
    const samples = Array.from({ length: 31 }, () => {
      const start = performance.now();
      for (let repeat = 0; repeat < 4; repeat++) run();
      return (performance.now() - start) / 4;
    });
    const ms = median(samples);
    const direct = countMultiplyAdds(engineModel.network, step);
    const algorithm = engineModel.algorithmOf(step.nodes[0] ?? -1);
    const done = executedMultiplyAdds(direct, algorithm);
    total += ms;
    work += done;
    const name = engineModel.network.nodes[step.output]?.name ?? '';
    const how =
      algorithm?.kind === 'winograd'
        ? `F${algorithm.tile}/${algorithm.stride}${algorithm.isInt16 ? ' int16' : ''}`
        : (algorithm?.kind ?? step.operation.kind);
    const share = done / (ms * 1e6) / peak;
    console.log(
      `${name.padEnd(24)} ${how.padEnd(11)} ${ms.toFixed(3)} ms  ${(direct / 1e6).toFixed(1).padStart(5)} M written down, ${(done / 1e6).toFixed(1).padStart(5)} M executed  ${(share * 100).toFixed(0)} % of peak`,
    );
  });
  console.log(
    `all steps: ${total.toFixed(2)} ms, ${((work / (total * 1e6) / peak) * 100).toFixed(0)} % of peak; at the peak they would take ${(work / peak / 1e6).toFixed(2)} ms`,
  );
  model.dispose();
}

/** Multiply-adds of the matrix products of an algorithm, tiles taken as whole. */
function executedMultiplyAdds(direct: number, algorithm: ReturnType<EngineModel['algorithmOf']>): number {
  if (algorithm?.kind !== 'winograd') return direct;
  return (direct / (algorithm.tile ** 2 * 9)) * algorithm.points ** 2;
}

/** Billions of multiply-adds a second: the best of several tries, because others use the machine. */
function measurePeak({ engine: { kernels, heap } }: EdgeBackend): number {
  const address = heap.allocate(256);
  heap.floats(address, 64).fill(0);
  const rounds = 1_000_000;
  const rates = Array.from({ length: 9 }, () => {
    const start = performance.now();
    kernels.multiplyAddPeak(address, rounds);
    return (rounds * 48) / ((performance.now() - start) * 1e6);
  });
  heap.free(address);
  return Math.max(...rates);
}

function engineModelOf(backend: EdgeBackend, weights: EdgeContender['model']['weights']): EngineModel {
  const [handle] = Object.values(weights).flat();
  if (handle === undefined) throw new Error('internal: the model has no tensor');
  return backend.modelOf(handle);
}

async function measureAgreement(count: number): Promise<void> {
  const stock = await loadStock(folder, scratch);
  const exact = await loadEdge(folder, 'exact');
  const contenders = [stock, exact, await loadEdge(folder, 'fast')];
  const { manifest } = exact.folder;
  const dataset = await readCifar10({ folder: process.env['CIFAR10_DIR'] ?? 'data/cifar-10-batches-bin' });
  const totals = contenders.map(({ name }) => ({ name, correct: 0, agreed: 0, largest: 0, relative: 0 }));
  let done = 0;
  for (const { images, labels } of testBatches(manifest.preprocess, dataset, 1, { end: count })) {
    const all: Float32Array[] = [];
    for (const { classify } of contenders) all.push(await classify(images));
    const [reference = new Float32Array()] = all;
    const deviation = standardDeviation(reference);
    all.forEach((logits, index) => {
      const total = totals[index];
      if (total === undefined) return;
      const difference = Math.max(...logits.map((value, each) => Math.abs(value - (reference[each] ?? Number.NaN))));
      if (argMax(logits) === labels[0]) total.correct += 1;
      if (argMax(logits) === argMax(reference)) total.agreed += 1;
      total.largest = Math.max(total.largest, difference);
      total.relative = Math.max(total.relative, difference / deviation);
    });
    done += 1;
  }
  for (const { name, correct, agreed, largest, relative } of totals) {
    console.log(
      `${name.padEnd(20)} ${correct} of ${done} right (${((100 * correct) / done).toFixed(2)} %), agrees with stock on ${agreed} (${((100 * agreed) / done).toFixed(2)} %), largest logit difference ${largest.toExponential(1)}, ${relative.toExponential(1)} of the picture's deviation`,
    );
  }
}

async function measureMemory(): Promise<void> {
  const backend = await startEdge();
  const told = (what: string): void => {
    globalThis.gc?.();
    const { wasmBytes, weightBytes, arenaBytes } = backend.memory();
    const { heapUsed, heapTotal, rss } = process.memoryUsage();
    const mb = (bytes: number): string => (bytes / 1e6).toFixed(1);
    console.log(
      `${what.padEnd(28)} wasm ${mb(wasmBytes)} MB (weights ${mb(weightBytes)}, arena ${mb(arenaBytes)}), JavaScript heap used ${mb(heapUsed)} of ${mb(heapTotal)} MB, sum ${mb(wasmBytes + heapTotal)} MB, resident ${mb(rss)} MB`,
    );
  };
  told('before a model');
  let contender = await loadEdge(folder, 'fast');
  const picture = makePicture(contender);
  told('model loaded');
  for (let run = 0; run < 1000; run++) await contender.classify(picture);
  told('after 1,000 pictures');
  for (let swap = 1; swap <= 100; swap++) {
    contender.model.dispose();
    contender = await loadEdge(folder, 'fast');
    await contender.classify(picture);
    if (swap === 1) told('after one swap');
  }
  told('after 100 swaps');
}
