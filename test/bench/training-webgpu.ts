/**
 * `npm run bench:training-webgpu [-- --network resnet18 --batch 128 --rounds 5]`: images per second of the webgpu engine
 * and of stock TensorFlow.js on its WebGPU backend, on the adapter at hand. Same network, batch and optimizer, float32;
 * rounds alternate, medians are compared.
 *
 * The stock side is what a tfjs user writes: ops, `variableGrads` and the momentum optimizer. Its backend is no
 * dependency: `npm install --prefix .webgpu --ignore-scripts @tensorflow/tfjs-backend-webgpu@4.22.0`.
 */
import { createRequire, registerHooks } from 'node:module';
import { parseArgs } from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import { architectureOf, NETWORK_NAMES } from '../../shared/architecture.ts';
import type { Architecture } from '../../shared/architecture.ts';
import { buildLayerTable } from '../../shared/resnet.ts';
import { loadDawn, isWebgpuSetUp } from '../../train/engine/webgpu/dawn.ts';
import { findAdapter } from '../../train/engine/webgpu/device.ts';
import { createWebgpuEngine } from '../../train/engine/webgpu/webgpu-engine.ts';
import { createRandom } from '../../train/random.ts';
import { TrainingState } from '../../train/training-state.ts';
import { HandWrittenNetwork } from '../support/tfjs-autodiff.ts';
import { randomWeights } from '../support/tiny-model.ts';

const WARM_UP_STEPS = 2;
const STEPS_PER_ROUND = 3;
const LEARNING_RATE = 0.01;

interface Contestant {
  name: string;
  /** One update; returns the loss, so that all of it is done. */
  step: () => Promise<number>;
}

interface Batch {
  /** [count, height, width, channels] */
  images: Float32Array<ArrayBuffer>;
  labels: Uint8Array<ArrayBuffer>;
  count: number;
}

async function startOurs(architecture: Architecture, batch: Batch): Promise<Contestant> {
  const engine = await createWebgpuEngine();
  const parameters = randomWeights(architecture, 1);
  const optimizer = { kind: 'sgd', momentum: 0.9, nesterov: true, weightDecay: 0, decayed: 'kernels' } as const;
  const state = new TrainingState(
    engine,
    buildLayerTable(architecture),
    { parameters },
    {
      optimizer,
      weightAverage: null,
    },
  );
  let step = 0;
  return {
    name: engine.device,
    step: async () =>
      (
        await state.step(
          { ...batch, imageShape: architecture.inputShape },
          { step: step++, learningRate: LEARNING_RATE, labelSmoothing: 0 },
        )
      ).loss,
  };
}

/**
 * The backend wants browser globals, but not before it is loaded: its own start passes a nested array as features, so it
 * is given a device that was made by hand.
 */
async function startStock(architecture: Architecture, batch: Batch): Promise<Contestant> {
  const setUp = isWebgpuSetUp();
  const requireInstalled = createRequire(setUp.ready ? setUp.entry : import.meta.url);
  const { WebGPUBackend }: { WebGPUBackend: new (device: GPUDevice, info: GPUAdapterInfo) => tf.KernelBackend } =
    requireInstalled('@tensorflow/tfjs-backend-webgpu');
  const { gpu, globals } = await loadDawn();
  Object.assign(globalThis, globals);
  Object.defineProperty(globalThis, 'navigator', { value: { gpu }, configurable: true });
  const { adapter } = await findAdapter();
  const { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupStorageSize } = adapter.limits;
  const requiredLimits = { maxBufferSize, maxStorageBufferBindingSize, maxComputeWorkgroupStorageSize };
  const device = await adapter.requestDevice({ requiredLimits });
  tf.registerBackend('webgpu', () => new WebGPUBackend(device, adapter.info));
  await tf.setBackend('webgpu');
  // tfjs-core under Node comes without any gradient, and its files name each other without their extension.
  registerHooks({
    resolve(specifier, context, next) {
      const isBare = specifier.startsWith('.') && context.parentURL?.includes('/tfjs-core/dist/') === true;
      return next(isBare && !specifier.endsWith('.js') ? `${specifier}.js` : specifier, context);
    },
  });
  await import('@tensorflow/tfjs-core/dist/register_all_gradients.js');
  const names: string[] = [];
  const variables: tf.Variable[] = [];
  for (const [name, { values, shape }] of randomWeights(architecture, 1)) {
    if (name.includes('running_')) continue;
    names.push(name);
    variables.push(tf.variable(tf.tensor(values, [...shape])));
  }
  const network = new HandWrittenNetwork(architecture, new Map(names.map((name, index) => [name, variables[index]])));
  const optimizer = tf.train.momentum(LEARNING_RATE, 0.9, true);
  const measure = (): tf.Scalar => {
    const images = tf.tensor4d(batch.images, [batch.count, ...architecture.inputShape]);
    const targets = tf.oneHot(tf.tensor1d([...batch.labels], 'int32'), architecture.classes);
    return tf.losses.softmaxCrossEntropy(targets, network.predict(images));
  };
  return {
    name: `stock tfjs ${tf.version_core} webgpu`,
    step: async () => {
      const loss = optimizer.minimize(measure, true, variables);
      if (loss === null) throw new Error('internal: no loss');
      const [value = Number.NaN] = await loss.data();
      loss.dispose();
      return value;
    },
  };
}

async function measureRound({ step }: Contestant, count: number): Promise<number> {
  const startedAt = performance.now();
  for (let done = 0; done < STEPS_PER_ROUND; done++) await step();
  return (STEPS_PER_ROUND * count) / ((performance.now() - startedAt) / 1000);
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

const { values: flags } = parseArgs({
  options: {
    network: { type: 'string', default: 'resnet18' },
    batch: { type: 'string', default: '128' },
    rounds: { type: 'string', default: '5' },
  },
});
const network = NETWORK_NAMES.find((name) => name === flags.network);
if (network === undefined) throw new Error(`there is no network "${flags.network}"; ${NETWORK_NAMES.join(', ')}`);
const architecture = architectureOf(network, { classes: 10, inputShape: [32, 32, 3] });
const count = Number(flags.batch);
const random = createRandom(1);
const batch = {
  images: Float32Array.from({ length: count * 32 * 32 * 3 }, () => random.nextNormal()),
  labels: Uint8Array.from({ length: count }, (_, index) => index % 10),
  count,
};
const { isSoftware } = await findAdapter();
const contestants = [await startOurs(architecture, batch), await startStock(architecture, batch)];
console.log(`${network}, batch ${count}, float32, SGD with Nesterov momentum`);
if (isSoftware) console.log('a software adapter: these figures say that both run, nothing about a GPU');
for (const { name, step } of contestants) {
  let loss = Number.NaN;
  for (let done = 0; done < WARM_UP_STEPS; done++) loss = await step();
  console.log(`${name}: loss ${loss.toFixed(4)} after ${WARM_UP_STEPS} steps`);
}
const rates: number[][] = contestants.map(() => []);
for (let round = 0; round < Number(flags.rounds); round++) {
  for (const [index, contestant] of contestants.entries()) {
    rates[index]?.push(await measureRound(contestant, count));
  }
}
const [ours = Number.NaN, stock = Number.NaN] = rates.map(medianOf);
console.log(`ours ${ours.toFixed(1)} images/s, stock ${stock.toFixed(1)} images/s, ratio ${(ours / stock).toFixed(2)}`);
