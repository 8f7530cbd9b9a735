import { describe, expect, it } from 'vitest';
import type { ParityRecord } from '../../../shared/manifest.ts';
import { emptyTotals, measureParity, requireParity } from '../../../train/convert/parity.ts';
import type { ModelRunner } from '../../../train/convert/runner.ts';

/** A runtime whose logits are given, [images, 2], and whose other layer is their double. */
function runnerOf(name: string, logits: readonly (readonly number[])[]): ModelRunner & { held: number } {
  let next = 0;
  return {
    name,
    held: 0,
    async run(_images, count) {
      const values = Float32Array.from(logits.slice(next, next + count).flat());
      next += count;
      this.held += 1;
      return {
        read: async (layer) => (layer === 'linear' ? values : values.map((value) => value * 2)),
        release: () => {
          this.held -= 1;
        },
      };
    },
    dispose: () => {},
  };
}

const batches = [2, 1].map((count) => ({
  images: new Float32Array(),
  imageShape: [1, 1, 3] as const,
  labels: new Uint8Array(count),
  count,
}));

function measure(reference: number[][], candidate: number[][]): Promise<ParityRecord> {
  return measureParity({
    reference: runnerOf('reference', reference),
    candidate: runnerOf('candidate', candidate),
    layers: ['layer1', 'linear'],
    batches,
  });
}

describe('measuring', () => {
  it('finds the largest differences, the spread of the logits and the agreement over all batches', async () => {
    const record = await measure(
      [
        [1, 2],
        [3, -4],
        [0, 8],
      ],
      [
        [1, 2.25],
        [3, -4],
        [0.5, 0.25],
      ],
    );
    expect(record).toEqual({
      reference: 'reference',
      candidate: 'candidate',
      images: 3,
      maxLogitDifference: 7.75,
      // Mean 10/6, mean square 94/6.
      logitStandardDeviation: Math.sqrt(94 / 6 - (10 / 6) ** 2),
      topOneAgreement: 2 / 3,
      layers: [
        { name: 'layer1', maxDifference: 15.5, maxValue: 16 },
        { name: 'linear', maxDifference: 7.75, maxValue: 8 },
      ],
    });
  });

  it('releases every batch and reports its progress', async () => {
    const logits = [
      [1, 2],
      [3, 4],
      [5, 6],
    ];
    const [reference, candidate] = [runnerOf('a', logits), runnerOf('b', logits)];
    const progress: number[] = [];
    await measureParity({
      reference,
      candidate,
      layers: ['linear'],
      batches,
      onProgress: ({ images }) => {
        progress.push(images);
      },
    });
    expect([reference.held, candidate.held]).toEqual([0, 0]);
    expect(progress).toEqual([2, 3]);
  });

  it('goes on where it was interrupted as if it had not been', async () => {
    const [expected, actual] = [
      [
        [1, 2],
        [3, -4],
        [0, 8],
      ],
      [
        [1, 2.25],
        [3.5, -4],
        [9, 0.25],
      ],
    ];
    const totals = emptyTotals(['layer1', 'linear']);
    const run = (first: number) =>
      measureParity({
        reference: runnerOf('reference', expected.slice(first)),
        candidate: runnerOf('candidate', actual.slice(first)),
        layers: ['layer1', 'linear'],
        batches: first === 0 ? batches.slice(0, 1) : batches.slice(1),
        totals,
      });
    await run(0);
    expect(totals.images).toBe(2);
    expect(await run(2)).toEqual(await measure(expected, actual));
  });

  it('does not lose a value that is not a number behind later ones', async () => {
    const record = await measure(
      [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
      [
        [Number.NaN, 2],
        [3, 4],
        [5, 6],
      ],
    );
    expect(record.maxLogitDifference).toBeNaN();
    for (const weightType of ['float32', 'float16', 'uint8'] as const) {
      expect(() => requireParity(record, weightType)).toThrow('layer "layer1" has values that are not finite');
    }
  });
});

describe('judging', () => {
  const record = (change: Partial<ParityRecord>): ParityRecord => ({
    reference: 'reference',
    candidate: 'candidate',
    images: 1000,
    maxLogitDifference: 0,
    logitStandardDeviation: 2,
    topOneAgreement: 1,
    layers: [
      { name: 'layer1', maxDifference: 1.9e-4, maxValue: 2 },
      { name: 'linear', maxDifference: 1e-4, maxValue: 4 },
    ],
    ...change,
  });

  it.each([
    ['float32', { maxLogitDifference: 1e-4, topOneAgreement: 0.999 }],
    ['float16', { maxLogitDifference: 1e-2, topOneAgreement: 0.999 }],
    ['uint8', { maxLogitDifference: 5, topOneAgreement: 0.9 }],
  ] as const)('accepts %s with %o', (weightType, change) => {
    expect(() => requireParity(record(change), weightType)).not.toThrow();
  });

  it.each<['float32' | 'float16', Partial<ParityRecord>, RegExp]>([
    ['float32', { maxLogitDifference: 1.01e-4 }, /differ by up to 1\.01e-4, at most 1\.00e-4 is allowed/],
    ['float16', { maxLogitDifference: 1.01e-2 }, /differ by up to 1\.01e-2, at most 1\.00e-2 is allowed/],
    ['float32', { topOneAgreement: 0.998 }, /the same for 99\.80 % of the images, at least 99\.9 %/],
    [
      'float32',
      { layers: [{ name: 'layer2', maxDifference: 2.1e-4, maxValue: 2 }] },
      /layer "layer2" differs by up to 2\.10e-4 with values up to 2\.00/,
    ],
    ['float16', { topOneAgreement: 0.998 }, /the layer "layer1" is furthest off/],
  ])('refuses %s with %o', (weightType, change, message) => {
    expect(() => requireParity(record(change), weightType)).toThrow(message);
    expect(() => requireParity(record(change), weightType)).toThrow(expect.objectContaining({ code: 'parity/failed' }));
  });
});
