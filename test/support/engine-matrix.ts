/**
 * Runs a suite on every engine: tfjs on its two backends, WebGPU on a software adapter, and native TensorFlow in both
 * precisions; the last two where they are set up.
 * The bench holds the tensors of a test and knows when an operation has leaked one.
 */
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, describe, expect } from 'vitest';
import type { Engine, EngineTensor } from '../../train/engine/engine.ts';
import { loadTensorFlowAddon } from '../../train/engine/tensorflow/addon.ts';
import { TensorFlowEngine } from '../../train/engine/tensorflow/tensorflow-engine.ts';
import type { Precision } from '../../train/engine/tensorflow/tensorflow-engine.ts';
import { createTfjsEngine } from '../../train/engine/tfjs-engine.ts';
import { createWebgpuEngine } from '../../train/engine/webgpu/webgpu-engine.ts';
import type { Random } from '../../train/random.ts';
import { describeWithTensorflow, describeWithWebgpu } from './requirements.ts';

interface EngineCase {
  title: string;
  precision: Precision;
  declare: (title: string, body: () => void) => void;
  start: () => Promise<Engine>;
}

async function startTensorFlow(precision: Precision): Promise<Engine> {
  // The addon brings a tfjs of its own, which shares its registry with ours and warns of every kernel it finds there.
  tf.env().set('IS_TEST', true);
  return new TensorFlowEngine(loadTensorFlowAddon(), { precision });
}

const ENGINES: readonly EngineCase[] = [
  { title: 'tfjs cpu', precision: 'float32', declare: describe, start: () => createTfjsEngine('cpu') },
  { title: 'tfjs wasm', precision: 'float32', declare: describe, start: () => createTfjsEngine('wasm') },
  { title: 'webgpu', precision: 'float32', declare: describeWithWebgpu, start: createWebgpuEngine },
  ...(['float32', 'bfloat16'] as const).map((precision) => ({
    title: `tensorflow ${precision}`,
    precision,
    declare: describeWithTensorflow,
    start: () => startTensorFlow(precision),
  })),
];

export interface EngineContext {
  precision: Precision;
  /** The started engine; only inside a test. */
  engine: () => Engine;
}

/** Declare the suite once for each engine. Every test must leave as many tensors as it found. */
export function describeOnEachEngine(subject: string, body: (context: EngineContext) => void): void {
  for (const { title, precision, declare, start } of ENGINES) {
    declare(`${subject} on ${title}`, () => {
      let started: Engine | undefined;
      beforeAll(async () => {
        started = await start();
      });
      let countBefore: number | undefined;
      beforeEach(() => {
        countBefore = started?.countTensors();
      });
      // Runs after the hooks of the suite itself.
      afterEach(() => {
        expect(started?.countTensors(), 'number of tensors after the test').toBe(countBefore);
      });
      body({
        precision,
        engine: () => {
          if (started === undefined) throw new Error('internal: the engine is used before it is started');
          return started;
        },
      });
    });
  }
}

/** The tensors of one test. */
export class Bench {
  readonly #engine: Engine;
  readonly #held: EngineTensor[] = [];

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** A parameter, a batch of pictures, logits: what is float32 in every engine. */
  put(values: ArrayLike<number>, shape: readonly number[]): EngineTensor {
    const tensor = this.#engine.upload(Float32Array.from(values), shape);
    this.#held.push(tensor);
    return tensor;
  }

  /** A feature map in the type that the engine computes maps in: what a 1x1 convolution by the identity puts out. */
  putMap(values: ArrayLike<number>, shape: readonly number[]): EngineTensor {
    const channels = shape.at(-1) ?? 0;
    const identity = Array.from({ length: channels ** 2 }, (_, index) => (index % (channels + 1) === 0 ? 1 : 0));
    const kernel = this.put(identity, [1, 1, channels, channels]);
    const map = this.#engine.conv2d(this.put(values, shape), kernel, { size: 1, stride: 1, padding: 0 });
    this.#held.push(map);
    return map;
  }

  /** Its values; the tensor is given back. */
  async take(tensor: EngineTensor): Promise<Float32Array> {
    const values = await this.#engine.download(tensor);
    this.#engine.dispose(tensor);
    return values;
  }

  close(): void {
    for (const tensor of this.#held.splice(0)) this.#engine.dispose(tensor);
  }
}

/** Normal values that bfloat16 holds exactly, so that every engine is given the same numbers. */
export function drawExact(random: Random, count: number, { mean = 0, std = 1 } = {}): Float32Array<ArrayBuffer> {
  const values = Float32Array.from({ length: count }, () => mean + std * random.nextNormal());
  const words = new Uint32Array(values.buffer);
  for (let index = 0; index < words.length; index++) words[index] = (words[index] ?? 0) & 0xff_ff_00_00;
  return values;
}

/**
 * max |actual - expected| / max |expected|: the error of the worst value as a share of the largest one. Infinite for
 * another number of values and for NaN.
 */
export function largestError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length || expected.length === 0) return Number.POSITIVE_INFINITY;
  let error = 0;
  let scale = 0;
  for (let index = 0; index < expected.length; index++) {
    const difference = Math.abs((actual[index] ?? Number.NaN) - (expected[index] ?? Number.NaN));
    error = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(error, difference);
    scale = Math.max(scale, Math.abs(expected[index] ?? 0));
  }
  return scale === 0 ? error : error / scale;
}

/** |actual - expected| / |expected| as vectors: what rounding in many places does to a whole tensor. */
export function meanError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length || expected.length === 0) return Number.POSITIVE_INFINITY;
  let error = 0;
  let scale = 0;
  for (let index = 0; index < expected.length; index++) {
    error += ((actual[index] ?? Number.NaN) - (expected[index] ?? Number.NaN)) ** 2;
    scale += (expected[index] ?? Number.NaN) ** 2;
  }
  const share = Math.sqrt(error) / (scale === 0 ? 1 : Math.sqrt(scale));
  return Number.isNaN(share) ? Number.POSITIVE_INFINITY : share;
}
