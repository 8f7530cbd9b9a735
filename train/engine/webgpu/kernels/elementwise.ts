/** Value by value: four in a thread. A buffer is never shorter than whole quads, so the last one needs no care. */
import { defineKernel, defineLaneKernels, FLAT_INDEX, THREADS_PER_GROUP } from './kernel.ts';
import type { Kernel } from './kernel.ts';

/** count: quads */
const COUNT = { count: 'u32' } as const;

function defineUnary(name: string, expression: string): Kernel<typeof COUNT> {
  return defineKernel({
    name,
    fields: COUNT,
    reads: { x: 'vec4f' },
    writes: { result: 'vec4f' },
    threads: THREADS_PER_GROUP,
    body: `${FLAT_INDEX}
  result[index] = ${expression};`,
  });
}

function defineBinary(name: string, expression: string): Kernel<typeof COUNT> {
  return defineKernel({
    name,
    fields: COUNT,
    reads: { x: 'vec4f', y: 'vec4f' },
    writes: { result: 'vec4f' },
    threads: THREADS_PER_GROUP,
    body: `${FLAT_INDEX}
  result[index] = ${expression};`,
  });
}

export const RELU = defineUnary('relu', 'max(x[index], vec4f(0))');
/** x: dy; y: the output of the ReLU */
export const RELU_GRADIENT = defineBinary('relu gradient', 'select(vec4f(0), x[index], y[index] > vec4f(0))');
export const ADD = defineBinary('add', 'x[index] + y[index]');
export const MULTIPLY = defineBinary('multiply', 'x[index] * y[index]');

export const COMBINE = defineKernel({
  name: 'combine',
  fields: { count: 'u32', factorX: 'f32', factorY: 'f32' },
  reads: { x: 'vec4f', y: 'vec4f' },
  writes: { result: 'vec4f' },
  threads: THREADS_PER_GROUP,
  body: `${FLAT_INDEX}
  result[index] = p.factorX * x[index] + p.factorY * y[index];`,
});

export const DIVIDE_BY_ROOT = defineKernel({
  name: 'divide by root',
  fields: { count: 'u32', epsilon: 'f32' },
  reads: { x: 'vec4f', y: 'vec4f' },
  writes: { result: 'vec4f' },
  threads: THREADS_PER_GROUP,
  body: `${FLAT_INDEX}
  result[index] = x[index] / (sqrt(y[index]) + vec4f(p.epsilon));`,
});

/** x [rows, channels] + bias [channels]; `count` and `channels` in lanes. */
export const ADD_BIAS = defineLaneKernels((lane) =>
  defineKernel({
    name: 'add bias',
    fields: { count: 'u32', channels: 'u32' },
    reads: { x: lane, bias: lane },
    writes: { result: lane },
    threads: THREADS_PER_GROUP,
    body: `${FLAT_INDEX}
  result[index] = x[index] + bias[index % p.channels];`,
  }),
);
