/**
 * Every operation of the engines forward, and max pooling backward, against loops in double precision. The other gradients are
 * in `gradients.test.ts`.
 *
 * Errors are shares of the largest value (`largestError`). All inputs are exact in bfloat16, so with it only the result
 * is rounded, to 8 bits of mantissa: half a step is 2^-9 of the value.
 */
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { WindowGeometry } from '../../../shared/resnet.ts';
import type { Engine } from '../../../train/engine/engine.ts';
import { createRandom } from '../../../train/random.ts';
import type { Random } from '../../../train/random.ts';
import { Bench, describeOnEachEngine, drawExact, largestError } from '../../support/engine-matrix.ts';

const TOLERANCE = { float32: 3e-6, bfloat16: 2 ** -8 } as const;
const FLOAT32_TOLERANCE = TOLERANCE.float32;

const CONVOLUTIONS = [1, 3, 7].flatMap((size) =>
  [1, 2].flatMap((stride) => [0, 1, 3].map((padding) => ({ size, stride, padding }))),
);
const POOLINGS = [
  { size: 3, stride: 2, padding: 1 },
  { size: 2, stride: 2, padding: 0 },
  { size: 3, stride: 1, padding: 1 },
];
/** Odd and even sizes, one image and three. */
const MAPS = [
  { batch: 1, height: 9, width: 7, channels: 3 },
  { batch: 3, height: 8, width: 10, channels: 5 },
];

describeOnEachEngine('forward operations', ({ engine: getEngine, precision }) => {
  const tolerance = TOLERANCE[precision];
  const random = createRandom(3);
  let engine: Engine;
  let bench: Bench;

  beforeEach(() => {
    engine = getEngine();
    bench = new Bench(engine);
  });

  afterEach(() => bench.close());

  it('gives back the values it was given, counts them, and refuses them once disposed', async () => {
    const values = Float32Array.of(0, -1.5, 3.3, 1e-30, -1e30, 16_777_217);
    const tensor = engine.upload(values.slice(), [2, 3]);
    expect(tensor.shape).toEqual([2, 3]);
    expect(engine.countTensors()).toBe(1);
    expect(await engine.download(tensor)).toEqual(values);
    engine.dispose(tensor);
    expect(engine.countTensors()).toBe(0);
    await expect(async () => engine.download(tensor)).rejects.toThrow(Error);
    expect(() => engine.relu(tensor)).toThrow(Error);
  });

  it('refuses a tensor of another engine', () => {
    expect(() => engine.relu({ shape: [1] })).toThrow('another engine');
  });

  it('names itself, what computes and in which precision', () => {
    const named = {
      tfjs: /^tfjs \d+\.\d+\.\d+ (cpu|wasm), /,
      webgpu: /^WebGPU \(Dawn, webgpu \d+\.\d+\.\d+\) on .*\w \(\w+, \w+\), /,
      tensorflow: /^TensorFlow \d+\./,
    };
    expect(engine.device).toMatch(named[engine.name]);
    expect(engine.device.endsWith(`, ${precision}`)).toBe(true);
  });

  it.each(CONVOLUTIONS)('convolves with kernel $size, stride $stride, padding $padding', async (geometry) => {
    for (const map of MAPS) {
      const { shape, kernelShape, outShape, visit } = planConvolution(map, 5, geometry);
      const x = drawExact(random, sizeOf(shape));
      const kernel = drawExact(random, sizeOf(kernelShape), { std: 0.3 });
      const expected = new Float64Array(sizeOf(outShape));
      visit((from, weight, to) => {
        expected[to] = at(expected, to) + at(x, from) * at(kernel, weight);
      });
      const y = engine.conv2d(bench.putMap(x, shape), bench.put(kernel, kernelShape), geometry);
      expect(y.shape).toEqual(outShape);
      expect(largestError(await bench.take(y), expected)).toBeLessThan(tolerance);
    }
  });

  it.each([[[3, 4, 5, 7]], [[2, 3]]])('adds a bias to the channels of %o', async (shape) => {
    const x = drawExact(random, sizeOf(shape));
    const channels = shape.at(-1) ?? 0;
    const bias = drawExact(random, channels);
    const tensor = shape.length === 4 ? bench.putMap(x, shape) : bench.put(x, shape);
    const y = await bench.take(engine.addBias(tensor, bench.put(bias, [channels])));
    const expected = x.map((value, index) => value + at(bias, index % channels));
    expect(largestError(y, expected)).toBeLessThan(tolerance);
  });

  it.each([
    { batch: 3, mean: 0, epsilon: 1e-5 },
    { batch: 1, mean: 0, epsilon: 1e-2 },
    { batch: 4, mean: 20, epsilon: 1e-5 },
  ])('normalises a batch of $batch around $mean with its own statistics', async ({ batch, mean, epsilon }) => {
    const shape = [batch, 5, 7, 3];
    const x = drawExact(random, sizeOf(shape), { mean, std: 2 });
    const gamma = drawExact(random, 3, { mean: 1, std: 0.3 });
    const beta = drawExact(random, 3);
    const parameters = { gamma: bench.put(gamma, [3]), beta: bench.put(beta, [3]) };
    const { y, statistics, saved } = engine.batchNormTraining(bench.putMap(x, shape), parameters, epsilon);
    const truth = [0, 1, 2].map((channel) => measure(x.filter((_, index) => index % 3 === channel)));
    const expected = Float64Array.from(x, (value, index) => {
      const channel = index % 3;
      const { mean: centre = 0, biased = 0 } = truth[channel] ?? {};
      return ((value - centre) / Math.sqrt(biased + epsilon)) * at(gamma, channel) + at(beta, channel);
    });
    for (const tensor of saved) engine.dispose(tensor);
    // Far from zero the mean loses digits that the difference to it no longer has: 20 / 2 of them.
    expect(largestError(await bench.take(y), expected)).toBeLessThan(tolerance * (mean === 0 ? 1 : 10));
    const means = truth.map((each) => each.mean);
    expect(largestError(await bench.take(statistics.mean), means)).toBeLessThan(FLOAT32_TOLERANCE);
    const unbiased = truth.map((each) => each.unbiased);
    expect(largestError(await bench.take(statistics.variance), unbiased)).toBeLessThan(FLOAT32_TOLERANCE * 10);
  });

  it('normalises with given statistics', async () => {
    const shape = [3, 5, 7, 3];
    const x = drawExact(random, sizeOf(shape));
    const [gamma, beta, mean] = [drawExact(random, 3), drawExact(random, 3), drawExact(random, 3)];
    const variance = drawExact(random, 3).map((value) => value ** 2);
    const parameters = {
      gamma: bench.put(gamma, [3]),
      beta: bench.put(beta, [3]),
      mean: bench.put(mean, [3]),
      variance: bench.put(variance, [3]),
    };
    const y = await bench.take(engine.batchNormInference(bench.putMap(x, shape), parameters, 1e-3));
    const expected = Float64Array.from(x, (value, index) => {
      const channel = index % 3;
      const scale = at(gamma, channel) / Math.sqrt(at(variance, channel) + 1e-3);
      return (value - at(mean, channel)) * scale + at(beta, channel);
    });
    expect(largestError(y, expected)).toBeLessThan(tolerance);
  });

  it('cuts negative values off, exactly', async () => {
    const shape = [2, 3, 5, 7];
    const x = drawExact(random, sizeOf(shape));
    expect(await bench.take(engine.relu(bench.putMap(x, shape)))).toEqual(x.map((value) => (value > 0 ? value : 0)));
  });

  it('adds two maps and leaves both as they were', async () => {
    const shape = [2, 3, 5, 7];
    const [a, b] = [drawExact(random, sizeOf(shape)), drawExact(random, sizeOf(shape))];
    const [first, second] = [bench.putMap(a, shape), bench.putMap(b, shape)];
    const sum = await bench.take(engine.add(first, second));
    expect(
      largestError(
        sum,
        a.map((value, index) => value + at(b, index)),
      ),
    ).toBeLessThan(tolerance);
    expect(await engine.download(first)).toEqual(a);
    expect(await engine.download(second)).toEqual(b);
  });

  it.each([
    [0.9, 1],
    [1, -0.1],
    [1, 1],
    [0, 2.5],
  ])('combines tensors with factors %d and %d in float32', async (factorX, factorY) => {
    const shape = [3, 3, 5, 7];
    const [x, y] = [drawExact(random, sizeOf(shape)), drawExact(random, sizeOf(shape))];
    const combined = await bench.take(engine.combine(factorX, bench.put(x, shape), factorY, bench.put(y, shape)));
    const expected = Float64Array.from(x, (value, index) => factorX * value + factorY * at(y, index));
    expect(largestError(combined, expected)).toBeLessThan(3e-7);
  });

  it.each(POOLINGS)('takes the largest of windows of $size, stride $stride, padding $padding', async (geometry) => {
    for (const map of MAPS) {
      const { shape, outShape, visit } = planPooling(map, geometry);
      // All values are below zero: a zero from around the map would win.
      const x = drawExact(random, sizeOf(shape), { mean: -10 });
      const expected = new Float32Array(sizeOf(outShape)).fill(Number.NEGATIVE_INFINITY);
      visit((from, to) => {
        expected[to] = Math.max(at(expected, to), at(x, from));
      });
      expect(await bench.take(engine.maxPool(bench.putMap(x, shape), geometry))).toEqual(expected);
    }
  });

  // Loops are the witness here: with autodiff at hand nobody would see that an engine leans on it.
  it.each(POOLINGS)('gives that gradient to the largest of windows of $size, $stride, $padding', async (geometry) => {
    for (const map of MAPS) {
      const { shape, outShape, visit } = planPooling(map, geometry);
      const x = drawDistinct(random, map);
      const dy = drawExact(random, sizeOf(outShape));
      const largest = new Map<number, number>();
      visit((from, to) => {
        if (at(x, from) > at(x, largest.get(to) ?? -1) || !largest.has(to)) largest.set(to, from);
      });
      const expected = new Float64Array(sizeOf(shape));
      for (const [to, from] of largest) expected[from] = at(expected, from) + at(dy, to);
      const input = bench.putMap(x, shape);
      const output = engine.maxPool(input, geometry);
      const found = engine.maxPoolGradient(bench.putMap(dy, outShape), input, output, geometry);
      engine.dispose(output);
      expect(found.shape).toEqual(shape);
      // Where windows overlap, bfloat16 rounds each of several additions.
      expect(largestError(await bench.take(found), expected)).toBeLessThan(
        precision === 'bfloat16' ? 2 ** -7 : tolerance,
      );
    }
  });

  it.each([
    { stride: 1, before: 1, after: 2 },
    { stride: 2, before: 0, after: 3 },
    { stride: 2, before: 2, after: 2 },
  ])('takes every $stride. pixel and adds $before and $after empty channels', async (padding) => {
    for (const { batch, height, width, channels } of MAPS) {
      const shape = [batch, height, width, channels];
      const x = drawExact(random, sizeOf(shape));
      const { stride, before, after } = padding;
      const outShape = [batch, Math.ceil(height / stride), Math.ceil(width / stride), channels + before + after];
      const expected = new Float32Array(sizeOf(outShape));
      for (const [index] of expected.entries()) {
        const [image = 0, line = 0, column = 0, channel = 0] = placeOf(index, outShape);
        const from = channel - before;
        if (from < 0 || from >= channels) continue;
        expected[index] = at(x, ((image * height + line * stride) * width + column * stride) * channels + from);
      }
      const y = engine.padChannels(bench.putMap(x, shape), padding);
      expect(y.shape).toEqual(outShape);
      expect(await bench.take(y)).toEqual(expected);
    }
  });

  it('averages each channel over the map, in float32', async () => {
    for (const { batch, height, width, channels } of MAPS) {
      const shape = [batch, height, width, channels];
      const x = drawExact(random, sizeOf(shape));
      const expected = new Float64Array(batch * channels);
      for (const [index, value] of x.entries()) {
        const [image = 0, , , channel = 0] = placeOf(index, shape);
        const to = image * channels + channel;
        expected[to] = at(expected, to) + value / (height * width);
      }
      const y = engine.globalAveragePool(bench.putMap(x, shape));
      expect(y.shape).toEqual([batch, channels]);
      expect(largestError(await bench.take(y), expected)).toBeLessThan(FLOAT32_TOLERANCE);
    }
  });

  it.each([
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ])('multiplies matrices in float32 (transposed: %s, %s)', async (isFirstTransposed, isSecondTransposed) => {
    const [rows, inner, columns] = [3, 5, 7];
    const [a, b] = [drawExact(random, rows * inner), drawExact(random, inner * columns)];
    const expected = Float64Array.from({ length: rows * columns }, (_, index) => {
      const [row, column] = [Math.floor(index / columns), index % columns];
      let sum = 0;
      for (let k = 0; k < inner; k++) {
        const left = at(a, isFirstTransposed ? k * rows + row : row * inner + k);
        sum += left * at(b, isSecondTransposed ? column * inner + k : k * columns + column);
      }
      return sum;
    });
    const first = bench.put(a, isFirstTransposed ? [inner, rows] : [rows, inner]);
    const second = bench.put(b, isSecondTransposed ? [columns, inner] : [inner, columns]);
    const product = engine.matMul(first, second, { isFirstTransposed, isSecondTransposed });
    expect(product.shape).toEqual([rows, columns]);
    expect(largestError(await bench.take(product), expected)).toBeLessThan(FLOAT32_TOLERANCE);
  });

  it('computes probabilities and losses, also of logits whose powers overflow', async () => {
    const logits = [0.5, -1, 2, 300, -300, 0, -90, -91, -92.5];
    const targets = [1, 0, 0, 0, 1, 0, 0.1, 0.2, 0.7];
    const expected = [0, 3, 6].map((start) => {
      const scores = logits.slice(start, start + 3);
      const largest = Math.max(...scores);
      const logSum = largest + Math.log(scores.reduce((sum, score) => sum + Math.exp(score - largest), 0));
      const logs = scores.map((score) => score - logSum);
      return {
        probabilities: logs.map(Math.exp),
        loss: -logs.reduce((sum, log, index) => sum + log * (targets[start + index] ?? 0), 0),
      };
    });
    const scores = bench.put(logits, [3, 3]);
    const probabilities = await bench.take(engine.softmax(scores));
    expect(
      largestError(
        probabilities,
        expected.flatMap((each) => each.probabilities),
      ),
    ).toBeLessThan(FLOAT32_TOLERANCE);
    const { losses, dLogits } = engine.softmaxCrossEntropy(scores, bench.put(targets, [3, 3]));
    engine.dispose(dLogits);
    const found = await bench.take(losses);
    expect(found).toHaveLength(3);
    expected.forEach(({ loss }, index) => expect(found[index]).toBeCloseTo(loss, 4));
  });
});

/** Whole numbers, each once in a channel of a picture, so that no window has two largest pixels. */
function drawDistinct(random: Random, { batch, height, width, channels }: MapSize): Float32Array {
  const values = new Float32Array(batch * height * width * channels);
  for (let image = 0; image < batch; image++) {
    for (let channel = 0; channel < channels; channel++) {
      for (const [pixel, rank] of random.shuffle(height * width).entries()) {
        values[(image * height * width + pixel) * channels + channel] = rank - 2 * height * width;
      }
    }
  }
  return values;
}

function at(values: ArrayLike<number>, index: number): number {
  return values[index] ?? Number.NaN;
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

/** Coordinates of a row-major index. */
function placeOf(index: number, shape: readonly number[]): number[] {
  let rest = index;
  return shape
    .toReversed()
    .map((dimension) => {
      const coordinate = rest % dimension;
      rest = Math.floor(rest / dimension);
      return coordinate;
    })
    .toReversed();
}

function measure(values: Float32Array): { mean: number; biased: number; unbiased: number } {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, biased: squares / count, unbiased: squares / (count - 1) };
}

type MapSize = (typeof MAPS)[number];

/** Shape [batch, height, width] of a window's outputs, and each output with each pixel of the map that it sees. */
function planWindow({ batch, height, width }: MapSize, { size, stride, padding }: WindowGeometry) {
  const countWindows = (side: number): number => Math.floor((side + 2 * padding - size) / stride) + 1;
  const outShape = [batch, countWindows(height), countWindows(width)];
  const visit = (see: (pixel: number, output: number, tap: number) => void): void => {
    for (let output = 0; output < sizeOf(outShape); output++) {
      const [image = 0, line = 0, column = 0] = placeOf(output, outShape);
      for (let tap = 0; tap < size * size; tap++) {
        const y = line * stride - padding + Math.floor(tap / size);
        const x = column * stride - padding + (tap % size);
        if (y >= 0 && y < height && x >= 0 && x < width) see((image * height + y) * width + x, output, tap);
      }
    }
  };
  return { outShape, visit };
}

function planPooling(map: MapSize, geometry: WindowGeometry) {
  const window = planWindow(map, geometry);
  const visit = (see: (from: number, to: number) => void): void =>
    window.visit((pixel, output) => {
      for (let c = 0; c < map.channels; c++) see(pixel * map.channels + c, output * map.channels + c);
    });
  const shape = [map.batch, map.height, map.width, map.channels];
  return { shape, outShape: [...window.outShape, map.channels], visit };
}

/** Visits every product of a convolution: place in x, in the kernel and in y. */
function planConvolution(map: MapSize, outChannels: number, geometry: WindowGeometry) {
  const window = planWindow(map, geometry);
  const { batch, height, width, channels } = map;
  const visit = (see: (from: number, weight: number, to: number) => void): void =>
    window.visit((pixel, output, tap) => {
      for (let from = 0; from < channels; from++) {
        for (let to = 0; to < outChannels; to++) {
          see(pixel * channels + from, (tap * channels + from) * outChannels + to, output * outChannels + to);
        }
      }
    });
  return {
    shape: [batch, height, width, channels],
    kernelShape: [geometry.size, geometry.size, channels, outChannels],
    outShape: [...window.outShape, outChannels],
    visit,
  };
}
