/** Memory of a Worker with models of real size, in workerd, which enforces no limit: so it is asserted here. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MODEL_BUDGET_BYTES } from '../../shared/engine/memory-budget.ts';
import { MAX_SHARD_BYTES } from '../../shared/manifest.ts';
import { encodeLargeJpeg } from '../support/large-jpeg.ts';
import { readSample, startTrackedIsolate, type TrackedIsolate } from '../support/tracked-isolate.ts';

/** Of an isolate at Cloudflare. */
const ISOLATE_BYTES = 128e6;
let isolate: TrackedIsolate;
let sample: Uint8Array<ArrayBuffer>;

beforeAll(async () => {
  isolate = await startTrackedIsolate();
  sample = await readSample();
}, 120_000);
afterAll(() => isolate?.stop());

test('holds one model of real size within the budget, in one WebAssembly memory', async () => {
  expect((await isolate.classify(sample)).predictions[0]?.label).toBe('automobile');
  const { wasmBytes } = await isolate.readMemory();
  expect(wasmBytes).toHaveLength(1);
  expect(wasmBytes[0]).toBeGreaterThan(57e6);
  expect(wasmBytes[0]).toBeLessThanOrEqual(MODEL_BUDGET_BYTES.worker);
});

test('takes no more memory over swaps between models of real size, garbage included, than four shards', async () => {
  const { wasmBytes: before } = await isolate.readMemory();
  for (let swap = 1; swap <= 4; swap++) await isolate.swap(sample);
  const { wasmBytes, peakBytes } = await isolate.readMemory();
  expect(wasmBytes).toEqual(before);
  expect(peakBytes - (before[0] ?? 0)).toBeGreaterThanOrEqual(MAX_SHARD_BYTES);
  // The largest kernel lies in three.
  expect(peakBytes - (before[0] ?? 0)).toBeLessThan(4 * (MAX_SHARD_BYTES + 1));
  expect((await isolate.classify(sample)).predictions[0]?.label).toBe('automobile');
}, 120_000);

test('decodes the largest progressive picture beside the model within the memory of an isolate', async () => {
  const picture = await encodeLargeJpeg();
  for (let round = 1; round <= 2; round++) await isolate.classify(picture);
  await isolate.readMemory();
  await isolate.classify(picture);
  const { wasmBytes, heapUsedBytes } = await isolate.readMemory();
  // The engine and one decoder, whose memory is taken again by each picture.
  const [engine = 0, decoder = 0, ...others] = wasmBytes.toSorted((a, b) => b - a);
  expect(others).toEqual([]);
  expect(decoder).toBeGreaterThan(20e6);
  expect(engine + decoder + picture.length + heapUsedBytes).toBeLessThan(ISOLATE_BYTES);
}, 120_000);
