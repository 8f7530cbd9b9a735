import { describe, expect, test } from 'vitest';
import { LinearWeightsReader, type LinearWeights } from '../../../serve/inference/linear-weights.ts';
import type { WeightSpec } from '../../../shared/engine/shards.ts';
import { buildLayerTable, findLayer } from '../../../shared/resnet.ts';
import { tinyArchitecture } from '../../support/tiny-model.ts';

const architecture = tinyArchitecture({ classes: 2 });
const [features = 0] = findLayer(buildLayerTable(architecture), 'linear').parameters[0]?.shape ?? [];
const FIRST = { name: 'a', shape: [3], dtype: 'float32' } as const;
const BIAS = { name: 'linear.bias', shape: [2], dtype: 'float32' } as const;
const UINT8 = { dtype: 'uint8', min: -1, scale: 0.5, original_dtype: 'float32' } as const;
const KERNEL = { name: 'linear.weight', shape: [features, 2], dtype: 'float32', quantization: UINT8 } as const;

/** The bytes of FIRST, KERNEL and BIAS: 0, 1, 2, ... of the kernel; -3 and 7 of the bias. */
function writeBytes(): Uint8Array {
  const kernel = Uint8Array.from({ length: features * 2 }, (_, index) => index);
  const bias = new Uint8Array(new Float32Array([-3, 7]).buffer);
  return Uint8Array.of(...new Uint8Array(12), ...kernel, ...bias);
}

function readLinearWeights(specs: readonly WeightSpec[], shards: readonly Uint8Array[]): LinearWeights {
  const reader = new LinearWeightsReader(architecture, specs);
  for (const shard of shards) reader.add(shard);
  return reader.finish();
}

describe('the reader of the linear layer', () => {
  test('decodes what lies behind other weights and over the edge of a shard', () => {
    const bytes = writeBytes();
    const shards = [bytes.subarray(0, 13), bytes.subarray(13, bytes.length - 5), bytes.subarray(bytes.length - 5)];
    const { kernel, bias } = readLinearWeights([FIRST, KERNEL, BIAS], shards);
    expect(features).toBeGreaterThan(0);
    expect(Array.from(kernel)).toEqual(Array.from({ length: features * 2 }, (_, index) => index * 0.5 - 1));
    expect(Array.from(bias)).toEqual([-3, 7]);
  });

  test('refuses a weight of another shape, and one that is not there', () => {
    const turned = { ...KERNEL, shape: [2, features] };
    expect(() => readLinearWeights([FIRST, turned, BIAS], [writeBytes()])).toThrow(
      expect.objectContaining({
        code: 'model/damaged',
        message: expect.stringMatching(/"linear\.weight" is \[2, \d+\]/),
      }),
    );
    expect(() => readLinearWeights([FIRST, { ...KERNEL, name: 'b' }, BIAS], [writeBytes()])).toThrow(
      expect.objectContaining({ code: 'model/damaged', message: expect.stringMatching(/is \[not there\]/) }),
    );
  });
});
