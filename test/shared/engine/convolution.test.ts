/** Convolutions of random shapes through the engine, each against the sum that defines it, in double precision. */
import { describe, expect, test } from 'vitest';
import { Engine } from '../../../shared/engine/engine.ts';
import type { EngineMode } from '../../../shared/engine/layout.ts';
import type { Network, Operation } from '../../../shared/engine/network.ts';
import { Shards } from '../../../shared/engine/shards.ts';
import { createRandom, type Random } from '../../../train/random.ts';
import { compileEngineModule, largestDifference, standardDeviation, VARIANTS } from '../../support/edge-engine.ts';

interface Case {
  batch: number;
  height: number;
  width: number;
  depth: number;
  channels: number;
  size: number;
  stride: number;
  padding: { top: number; left: number; bottom: number; right: number };
  hasResidual: boolean;
  hasRelu: boolean;
}

const CASES_PER_VARIANT = 120;

function pick<Value>(random: Random, values: readonly Value[]): Value {
  const value = values[Math.floor(random.next() * values.length)];
  if (value === undefined) throw new Error('internal: nothing to pick from');
  return value;
}

/** Paddings as the graph writer emits them, none, and those of SAME, which are larger at the end. */
function drawCase(random: Random): Case {
  const size = pick(random, [1, 3, 3, 3, 7]);
  const stride = pick(random, [1, 2]);
  const half = (size - 1) / 2;
  const padding = pick(random, [
    { top: half, left: half, bottom: half, right: half },
    { top: 0, left: 0, bottom: 0, right: 0 },
    { top: Math.max(0, half - 1), left: Math.max(0, half - 1), bottom: half, right: half },
  ]);
  return {
    batch: pick(random, [1, 1, 2]),
    height: size + Math.floor(random.next() * 20),
    width: size + Math.floor(random.next() * 20),
    depth: 1 + Math.floor(random.next() * 20),
    channels: 1 + Math.floor(random.next() * 20),
    size,
    stride,
    padding,
    hasResidual: random.next() < 0.5,
    hasRelu: random.next() < 0.5,
  };
}

function drawValues(random: Random, length: number): Float32Array {
  return Float32Array.from({ length }, () => random.nextNormal());
}

interface Drawn extends Case {
  outHeight: number;
  outWidth: number;
  input: Float32Array;
  kernel: Float32Array;
  gain: Float64Array;
  shift: Float64Array;
}

function drawTensors(random: Random, each: Case): Drawn {
  const { batch, height, width, depth, channels, size, stride, padding } = each;
  const kernel = drawValues(random, size * size * depth * channels);
  return {
    ...each,
    outHeight: Math.floor((height + padding.top + padding.bottom - size) / stride) + 1,
    outWidth: Math.floor((width + padding.left + padding.right - size) / stride) + 1,
    input: drawValues(random, batch * height * width * depth),
    kernel: kernel.map((value) => value / Math.sqrt(size * size * depth)),
    gain: Float64Array.from(drawValues(random, channels)),
    shift: Float64Array.from(drawValues(random, channels)),
  };
}

/** y = relu(conv(x) * gain + shift + sigmoid(the same)), whichever parts the case has. */
function computeReference(drawn: Drawn): Float64Array {
  const { batch, height, width, depth, channels, size, stride, padding, outHeight, outWidth } = drawn;
  const output = new Float64Array(batch * outHeight * outWidth * channels);
  for (let index = 0; index < output.length; index++) {
    const channel = index % channels;
    const pixel = Math.floor(index / channels);
    const [x, y, b] = [
      pixel % outWidth,
      Math.floor(pixel / outWidth) % outHeight,
      Math.floor(pixel / outWidth / outHeight),
    ];
    let sum = 0;
    for (let tap = 0; tap < size * size; tap++) {
      const inY = y * stride - padding.top + Math.floor(tap / size);
      const inX = x * stride - padding.left + (tap % size);
      if (inY < 0 || inX < 0 || inY >= height || inX >= width) continue;
      const from = ((b * height + inY) * width + inX) * depth;
      for (let k = 0; k < depth; k++) {
        sum += (drawn.input[from + k] ?? 0) * (drawn.kernel[(tap * depth + k) * channels + channel] ?? 0);
      }
    }
    let value = sum * (drawn.gain[channel] ?? 0) + (drawn.shift[channel] ?? 0);
    if (drawn.hasResidual) value += 1 / (1 + Math.exp(-value));
    output[index] = drawn.hasRelu ? Math.max(0, value) : value;
  }
  return output;
}

function runOnEngine(engine: Engine, drawn: Drawn, mode: EngineMode): { values: Float32Array; algorithm: string } {
  const { batch, height, width, depth, channels, size, stride, padding, outHeight, outWidth } = drawn;
  const convolution: Operation = { kind: 'convolution', kernel: 'kernel', height: size, width: size, stride, padding };
  const shape = { height: outHeight, width: outWidth, channels };
  const nodes: Network['nodes'][number][] = [
    { name: 'x', inputs: [], operation: { kind: 'input' }, shape: { height, width, channels: depth }, isMap: true },
  ];
  const add = (operation: Operation, ...inputs: number[]): number =>
    nodes.push({ name: `${nodes.length}`, inputs, operation, shape, isMap: true }) - 1;
  const normalize: Operation = { kind: 'channels', gain: drawn.gain, shift: drawn.shift };
  // The addition comes to a convolution of its own, beside the one whose sigmoid is added.
  let last = add(normalize, add(convolution, 0));
  if (drawn.hasResidual) {
    const residual = add({ kind: 'sigmoid' }, last);
    last = add({ kind: 'combine', operation: 'add' }, add(normalize, add(convolution, 0)), residual);
  }
  if (drawn.hasRelu) last = add({ kind: 'relu' }, last);
  const shards = Shards.of(
    [{ name: 'kernel', shape: [size, size, depth, channels], dtype: 'float32' }],
    [new Uint8Array(drawn.kernel.buffer)],
  );
  const model = engine.load({ nodes, indexOfNode: new Map() }, mode, shards);
  const values = model.run(drawn.input, batch, [last]).get(last) ?? new Float32Array();
  const algorithm = JSON.stringify(model.algorithmOf(1));
  model.free();
  return { values, algorithm };
}

describe.each(VARIANTS)('the build %s', (variant) => {
  test(`convolves ${CASES_PER_VARIANT} random shapes as the definition does`, () => {
    const random = createRandom(1);
    const engine = new Engine(compileEngineModule(variant));
    const algorithms = new Set<string>();
    for (let index = 0; index < CASES_PER_VARIANT; index++) {
      const drawn = drawTensors(random, drawCase(random));
      const { values, algorithm } = runOnEngine(engine, drawn, 'exact');
      algorithms.add(algorithm);
      const { input: _, kernel: __, gain: ___, shift: ____, ...told } = drawn;
      expect(largestDifference(values, computeReference(drawn)), JSON.stringify({ ...told, algorithm })).toBeLessThan(
        1e-4,
      );
    }
    // Direct, and Winograd with both tiles and both strides.
    expect(algorithms.size).toBe(5);
  });

  test.each([
    { height: 8, width: 8, stride: 1 },
    { height: 7, width: 5, stride: 1 },
    { height: 4, width: 4, stride: 1 },
    { height: 16, width: 13, stride: 2 },
    { height: 8, width: 8, stride: 2 },
  ])('convolves with int16 weights closely: $height x $width, stride $stride', (form) => {
    const random = createRandom(2);
    const padding = { top: 1, left: 1, bottom: 1, right: 1 };
    const rest = { batch: 1, depth: 130, channels: 132, size: 3, padding, hasResidual: false, hasRelu: false };
    const drawn = drawTensors(random, { ...rest, ...form });
    const { values, algorithm } = runOnEngine(new Engine(compileEngineModule(variant)), drawn, 'fast');
    expect(algorithm).toContain('"isInt16":true');
    const expected = computeReference(drawn);
    expect(largestDifference(values, expected)).toBeLessThan(5e-3 * standardDeviation(expected));
    expect(largestDifference(values, expected)).toBeGreaterThan(0);
  });
});

test.each(['float16', 'uint8'] as const)('reads weights that are stored as %s', (stored) => {
  const random = createRandom(3);
  const padding = { top: 1, left: 1, bottom: 1, right: 1 };
  const form = { batch: 1, height: 6, width: 6, depth: 9, channels: 11, size: 3, stride: 1, padding };
  const drawn = drawTensors(random, { ...form, hasResidual: false, hasRelu: false });
  // Halves: 1 sign bit, exponents 12..15, any fraction, and a few subnormals.
  const bits = Uint16Array.from(drawn.kernel, (_, index) =>
    index % 50 === 0 ? index % 1024 : ((index % 2) << 15) | ((12 + (index % 4)) << 10) | ((index * 37) % 1024),
  );
  const levels = Uint8Array.from(drawn.kernel, (_, index) => (index * 53) % 256);
  const [scale, min] = [0.0078125, -0.75];
  drawn.kernel = Float32Array.from(drawn.kernel, (_, index) => {
    if (stored === 'uint8') return (levels[index] ?? 0) * scale + min;
    const half = bits[index] ?? 0;
    const exponent = (half >> 10) & 31;
    const magnitude = exponent === 0 ? (half & 1023) * 2 ** -24 : (1 + (half & 1023) / 1024) * 2 ** (exponent - 15);
    return half & 0x8000 ? -magnitude : magnitude;
  });
  const engine = new Engine(compileEngineModule());
  const quantization =
    stored === 'uint8'
      ? ({ dtype: 'uint8', min, scale, original_dtype: 'float32' } as const)
      : ({ dtype: 'float16', original_dtype: 'float32' } as const);
  const bytes = stored === 'uint8' ? levels : new Uint8Array(bits.buffer);
  // Cut where no value ends, so that values lie across two shards.
  const shards = Shards.of(
    [{ name: 'kernel', shape: [3, 3, 9, 11], dtype: 'float32', quantization }],
    [bytes.slice(0, 331), bytes.slice(331)],
  );
  const shape = { height: 6, width: 6, channels: 11 };
  const convolution: Operation = { kind: 'convolution', kernel: 'kernel', height: 3, width: 3, stride: 1, padding };
  const nodes: Network['nodes'] = [
    { name: 'x', inputs: [], operation: { kind: 'input' }, shape: { height: 6, width: 6, channels: 9 }, isMap: true },
    { name: 'y', inputs: [0], operation: convolution, shape, isMap: true },
  ];
  const values = engine.load({ nodes, indexOfNode: new Map() }, 'exact', shards).run(drawn.input, 1, [1]).get(1);
  drawn.gain.fill(1);
  drawn.shift.fill(0);
  expect(largestDifference(values ?? [], computeReference(drawn))).toBeLessThan(1e-4);
});

/** Kernels of which four channels in take more than is set aside for unpacking. */
test.each([
  { size: 16, depth: 8, channels: 480 },
  { size: 22, depth: 5, channels: 512 },
])('convolves with a window of $size x $size pixels and $channels channels', (form) => {
  const random = createRandom(3);
  const padding = { top: 0, left: 0, bottom: 0, right: 0 };
  const rest = { batch: 1, height: 23, width: 22, stride: 1, padding, hasResidual: false, hasRelu: false };
  const drawn = drawTensors(random, { ...rest, ...form });
  const { values } = runOnEngine(new Engine(compileEngineModule()), drawn, 'exact');
  expect(largestDifference(values, computeReference(drawn))).toBeLessThan(1e-4);
});
