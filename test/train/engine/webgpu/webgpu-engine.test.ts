/**
 * What is special about the WebGPU engine: sizes that take more than one tile, chunk, submission or line of workgroups,
 * its memory, and its errors. What it has in common with the others is tested on all of them.
 */
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { Architecture } from '../../../../shared/architecture.ts';
import { buildLayerTable } from '../../../../shared/resnet.ts';
import type { Engine, EngineTensor } from '../../../../train/engine/engine.ts';
import { createTfjsEngine } from '../../../../train/engine/tfjs-engine.ts';
import { openDevice } from '../../../../train/engine/webgpu/device.ts';
import { createWebgpuEngine, WebgpuEngine } from '../../../../train/engine/webgpu/webgpu-engine.ts';
import { createRandom } from '../../../../train/random.ts';
import { TrainingState } from '../../../../train/training-state.ts';
import { Bench, drawExact, largestError } from '../../../support/engine-matrix.ts';
import { describeWithWebgpu } from '../../../support/requirements.ts';
import { randomWeights, tinyArchitecture } from '../../../support/tiny-model.ts';
import { tinyConfig } from '../../../support/tiny-run.ts';

const random = createRandom(9);

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

describeWithWebgpu('the WebGPU engine', () => {
  let engine: WebgpuEngine;
  let reference: Engine;
  let bench: Bench;

  beforeAll(async () => {
    engine = await createWebgpuEngine();
    reference = await createTfjsEngine('wasm');
  });

  beforeEach(() => {
    bench = new Bench(engine);
  });

  afterEach(() => {
    bench.close();
    const count = engine.countTensors();
    if (count !== 0) throw new Error(`the test left ${count} tensors`);
  });

  /** Largest error of an operation against the same one of the reference, by the shapes of its inputs. */
  async function compare(
    shapes: readonly (readonly number[])[],
    compute: (on: Engine, inputs: readonly EngineTensor[]) => EngineTensor,
  ): Promise<number> {
    const values = shapes.map((shape) => drawExact(random, sizeOf(shape)));
    const [found = [], expected = []] = await Promise.all(
      [engine, reference].map(async (on) => {
        const inputs = values.map((each, index) => on.upload(each.slice(), shapes[index] ?? []));
        const output = compute(on, inputs);
        const result = await on.download(output);
        for (const tensor of [...inputs, output]) on.dispose(tensor);
        return result;
      }),
    );
    return largestError(found, expected);
  }

  it.each([
    { channels: 68, outChannels: 72, geometry: { size: 3, stride: 1, padding: 1 } },
    { channels: 68, outChannels: 72, geometry: { size: 3, stride: 2, padding: 1 } },
    { channels: 66, outChannels: 70, geometry: { size: 3, stride: 2, padding: 1 } },
    { channels: 20, outChannels: 32, geometry: { size: 1, stride: 2, padding: 0 } },
    { channels: 3, outChannels: 64, geometry: { size: 7, stride: 2, padding: 3 } },
  ])(
    'convolves $channels to $outChannels channels in several tiles: $geometry',

    async (given) => {
      const { channels, outChannels, geometry } = given;
      const countWindows = (side: number): number =>
        Math.floor((side + 2 * geometry.padding - geometry.size) / geometry.stride) + 1;
      const shape = [5, 14, 11, channels];
      const outShape = [5, countWindows(14), countWindows(11), outChannels];
      const kernelShape = [geometry.size, geometry.size, channels, outChannels];
      const forward = await compare([shape, kernelShape], (on, [x, kernel]) =>
        on.conv2d(present(x), present(kernel), geometry),
      );
      const byInput = await compare([outShape, kernelShape], (on, [dy, kernel]) =>
        on.conv2dInputGradient(present(dy), present(kernel), shape, geometry),
      );
      const byKernel = await compare([shape, outShape], (on, [x, dy]) =>
        on.conv2dKernelGradient(present(x), present(dy), kernelShape, geometry),
      );
      expect({ forward, byInput, byKernel }).toEqual({
        forward: expect.toSatisfy(isSmall),
        byInput: expect.toSatisfy(isSmall),
        byKernel: expect.toSatisfy(isSmall),
      });
    },
  );

  it.each([17, 20])(
    'measures %d channels around 1000 over several chunks as double precision does',
    async (channels) => {
      const shape = [4, 16, 15, channels];
      const x = drawExact(random, sizeOf(shape), { mean: 1000, std: 4 });
      const [gamma, beta] = [drawExact(random, channels), drawExact(random, channels)];
      const parameters = { gamma: bench.put(gamma, [channels]), beta: bench.put(beta, [channels]) };
      const { y, statistics, saved } = engine.batchNormTraining(bench.put(x, shape), parameters, 1e-5);
      const rows = sizeOf(shape) / channels;
      const truth = Array.from({ length: channels }, (_, channel) => {
        const values = x.filter((_value, index) => index % channels === channel);
        const mean = values.reduce((sum, value) => sum + value, 0) / rows;
        return { mean, variance: values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (rows - 1) };
      });
      const expected = Float64Array.from(x, (value, index) => {
        const channel = index % channels;
        const { mean = 0, variance = 0 } = truth[channel] ?? {};
        const biased = (variance * (rows - 1)) / rows;
        return ((value - mean) / Math.sqrt(biased + 1e-5)) * (gamma[channel] ?? 0) + (beta[channel] ?? 0);
      });
      for (const tensor of saved) engine.dispose(tensor);
      const means = truth.map(({ mean }) => mean);
      const variances = truth.map(({ variance }) => variance);
      expect(largestError(await bench.take(statistics.mean), means)).toBeLessThan(3e-7);
      expect(largestError(await bench.take(statistics.variance), variances)).toBeLessThan(1e-5);
      // The mean is rounded to a step of 6e-5, a share of 1.5e-5 of the deviation.
      expect(largestError(await bench.take(y), expected)).toBeLessThan(3e-5);
    },
  );

  it.each([17, 20])('passes a gradient through batch norm of %d channels over several chunks', async (channels) => {
    const shape = [4, 16, 15, channels];
    for (const wanted of ['dx', 'dgamma', 'dbeta'] as const) {
      const error = await compare([shape, shape, [channels]], (on, [dy, x, gamma]) => {
        const forward = on.batchNormTraining(present(x), { gamma: present(gamma), beta: present(gamma) }, 1e-5);
        const gradient = on.batchNormGradient(present(dy), present(x), present(gamma), forward.saved, 1e-5);
        const { y, statistics, saved } = forward;
        for (const each of [y, statistics.mean, statistics.variance, ...saved]) on.dispose(each);
        for (const [name, each] of Object.entries(gradient)) if (name !== wanted) on.dispose(each);
        return gradient[wanted];
      });
      expect(error, wanted).toBeLessThan(1e-5);
    }
  });

  it('numbers workgroups right when they take more than one line', async () => {
    // 65,544 workgroups; a device has 65,535 in a line.
    const [images, height, width] = [3, 5593, 1000];
    const dy = bench.put([-1, 0, 1], [images, 1]);
    const dx = await bench.take(engine.globalAveragePoolGradient(dy, [images, height, width, 1]));
    const share = Math.fround(1 / (height * width));
    const expected = [-share, 0, share];
    expect(dx.findIndex((value, index) => value !== expected[Math.floor(index / height / width)])).toBe(-1);
    expect(dx).toHaveLength(images * height * width);
  });

  it('keeps the order of commands over many submissions', async () => {
    const before = engine.counts.submissions;
    const one = bench.put([1, 2, 3], [3]);
    let sum = engine.upload(new Float32Array(3), [3]);
    for (let step = 0; step < 1200; step++) {
      const next = engine.combine(1, sum, step % 2 === 0 ? 1 : -0.5, one);
      engine.dispose(sum);
      sum = next;
    }
    expect(await bench.take(sum)).toEqual(Float32Array.of(300, 600, 900));
    expect(engine.counts.submissions - before).toBe(3);
  });

  it('writes into memory that is free again only behind the commands that still read it', async () => {
    const first = engine.upload(Float32Array.of(1, -2, 3), [3]);
    const kept = engine.relu(first);
    engine.dispose(first);
    const { buffers } = engine.counts;
    const second = engine.upload(Float32Array.of(-4, 5, -6), [3]);
    expect(engine.counts.buffers).toBe(buffers);
    expect(await bench.take(kept)).toEqual(Float32Array.of(1, 0, 3));
    expect(await bench.take(second)).toEqual(Float32Array.of(-4, 5, -6));
  });

  it('trains as the reference does', async () => {
    const [found, expected] = [startTraining(engine), startTraining(reference)];
    for (let step = 0; step < 10; step++) {
      expect(await found.step(step), `loss of step ${step}`).toBeCloseTo(await expected.step(step), 4);
    }
    for (const { state } of [found, expected]) state.dispose();
  });

  it('trains in few submissions, and takes no memory after two of 200 steps', async () => {
    const { state, step } = startTraining(engine, { blocks: [1], widths: [4] });
    await step(0);
    const first = await step(1);
    const before = engine.counts;
    for (let count = 2; count < 200; count++) await step(count);
    const { buffers, bytes, submissions } = engine.counts;
    expect({ buffers, bytes }).toEqual({ buffers: before.buffers, bytes: before.bytes });
    expect((submissions - before.submissions) / 198).toBeLessThanOrEqual(3);
    expect(await step(200)).toBeLessThan(first / 10);
    state.dispose();
  });

  it('refuses a tensor that no buffer of the GPU can hold, and goes on', async () => {
    const dy = bench.put([1], [1, 1]);
    expect(() => engine.globalAveragePoolGradient(dy, [1, 65_536, 65_536, 1])).toThrow(
      expect.objectContaining({
        code: 'engine/out-of-memory',
        message: expect.stringMatching(/needs 17179869184 bytes, .*smaller --batch-size$/),
      }),
    );
    expect(await engine.download(dy)).toEqual(Float32Array.of(1));
  });
});

describeWithWebgpu('a WebGPU device that fails', () => {
  it('says that the GPU was lost, at each call after', async () => {
    const opened = await openDevice();
    const engine = new WebgpuEngine(opened);
    const tensor = engine.upload(Float32Array.of(1), [1]);
    opened.device.destroy();
    await opened.device.lost;
    await expect(engine.download(tensor)).rejects.toMatchObject({
      code: 'engine/device-lost',
      message: expect.stringMatching(/^the GPU was lost \(destroyed\): .*--resume$/),
    });
    expect(() => engine.relu(tensor)).toThrow(expect.objectContaining({ code: 'engine/device-lost' }));
  });

  it('reports what WebGPU tells nobody', async () => {
    const opened = await openDevice();
    const engine = new WebgpuEngine(opened);
    const tensor = engine.upload(Float32Array.of(1), [1]);
    opened.device.createBuffer({ size: 4, usage: 0 });
    await expect(engine.download(tensor)).rejects.toMatchObject({
      code: 'engine/failed',
      message: expect.stringMatching(/^the GPU reported an error: .*usage/),
    });
  });
});

const present = (tensor: EngineTensor | undefined): EngineTensor => {
  if (tensor === undefined) throw new Error('internal: too few inputs');
  return tensor;
};

function isSmall(error: number): boolean {
  return error < 3e-6;
}

/** A tiny network on one small batch. */
function startTraining(
  on: Engine,
  differences: Partial<Architecture> = {},
): { state: TrainingState; step: (step: number) => Promise<number> } {
  const architecture = tinyArchitecture(differences);
  const { optimizer } = tinyConfig();
  const parameters = randomWeights(architecture, 3);
  const state = new TrainingState(
    on,
    buildLayerTable(architecture),
    { parameters },
    { optimizer, weightAverage: null },
  );
  const count = 4;
  const images = drawExact(createRandom(4), count * sizeOf(architecture.inputShape));
  const labels = Uint8Array.from({ length: count }, (_, index) => index % architecture.classes);
  return {
    state,
    step: async (step) => {
      const options = { step, learningRate: 0.02, labelSmoothing: 0 };
      const { loss } = await state.step(
        { images: images.slice(), imageShape: architecture.inputShape, labels, count },
        options,
      );
      return loss;
    },
  };
}
