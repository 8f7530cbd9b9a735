/** The engine inside workerd: the module is a static import, and the model passes through `loadGraphModel`. */
import { loadGraphModel } from '@tensorflow/tfjs-converter';
import { tensor4d, tidy, type Tensor } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { startEdgeBackend } from '../../../shared/engine/backend.ts';
import { edgeModelHandler } from '../../../shared/engine/model-handler.ts';
import type { EdgeModelFile } from '../../../shared/engine/network-file.ts';
import relaxed from '../../../shared/engine/wasm/edge-relaxed.wasm';
import simd from '../../../shared/engine/wasm/edge-simd.wasm';

const CHANNELS = 8;

/** A 3x3 convolution, SAME, whose kernel is all ones, and the mean of its ReLU. */
const FILE: EdgeModelFile = {
  format: 'graph-model',
  modelTopology: {
    versions: { producer: 1 },
    node: [
      {
        name: 'input',
        op: 'Placeholder',
        attr: { shape: { shape: { dim: [-1, 6, 6, CHANNELS].map((size) => ({ size })) } } },
      },
      { name: 'kernel', op: 'Const' },
      {
        name: 'convolution',
        op: 'Conv2D',
        input: ['input', 'kernel'],
        attr: {
          strides: { list: { i: [1, 1, 1, 1] } },
          padding: { s: btoa('SAME') },
          data_format: { s: btoa('NHWC') },
        },
      },
      { name: 'relu', op: 'Relu', input: ['convolution'] },
    ],
  },
  weightsManifest: [{ weights: [{ name: 'kernel', shape: [3, 3, CHANNELS, CHANNELS], dtype: 'float32' }] }],
};

test.each([
  { build: 'relaxed', module: relaxed },
  { build: 'simd', module: simd },
])('the build $build convolves', async ({ module }) => {
  const backend = await startEdgeBackend(module);
  const shards = [new Uint8Array(new Float32Array(9 * CHANNELS * CHANNELS).fill(1).buffer)];
  const model = await loadGraphModel(edgeModelHandler({ backend, file: FILE, shards, mode: 'fast' }));
  tidy(() => {
    const picture = tensor4d(new Float32Array(36 * CHANNELS).fill(1), [1, 6, 6, CHANNELS]);
    const output = model.execute(picture, 'relu') as Tensor;
    const values = output.dataSync();
    // 9 pixels x 8 channels of ones inside, 6 at an edge, 4 in a corner.
    const at = (y: number, x: number): number => values[(y * 6 + x) * CHANNELS] ?? Number.NaN;
    expect([at(2, 3), at(0, 3), at(5, 5)].map((value) => Math.round(value * 1e4) / 1e4)).toEqual([72, 48, 32]);
  });
  model.dispose();
  expect(backend.memory().weightBytes).toBe(0);
});
