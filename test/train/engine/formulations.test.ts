/** Several ways to compute one thing: which one is taken, and that all give the same. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { sizeOf } from '../../../shared/resnet.ts';
import { findLatestCheckpoint, readCheckpoint } from '../../../train/checkpoint.ts';
import { describeMeasurements, FormulationChooser, readFormulations } from '../../../train/engine/formulations.ts';
import type { Measurement } from '../../../train/engine/formulations.ts';
import { loadTensorFlowAddon } from '../../../train/engine/tensorflow/addon.ts';
import { TensorFlowEngine } from '../../../train/engine/tensorflow/tensorflow-engine.ts';
import { trainAndEvaluate } from '../../../train/loop.ts';
import { createRandom } from '../../../train/random.ts';
import { readEvents } from '../../../train/run-log.ts';
import { Bench, drawExact, largestError } from '../../support/engine-matrix.ts';
import { describeWithTensorflow } from '../../support/requirements.ts';
import { makeTemporaryFolder } from '../../support/temporary-folder.ts';
import { createTinyDataset, RecordingStream, tinyConfig } from '../../support/tiny-run.ts';

/** Busy for so many milliseconds. */
function work(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

describe('FormulationChooser', () => {
  const slowAndFast = {
    slow: () => (work(4), 'by the slow way'),
    fast: () => 'by the fast way',
  };
  const ignore = (): void => undefined;

  it('takes the way that is faster, once measured, and tells what it measured', () => {
    const chooser = new FormulationChooser('measured');
    const discarded: string[] = [];
    expect(chooser.compute('sum', slowAndFast, (result) => discarded.push(result))).toBe('by the fast way');
    expect(discarded).toContain('by the slow way');
    const runs = discarded.length;
    expect(chooser.compute('sum', slowAndFast, (result) => discarded.push(result))).toBe('by the fast way');
    expect(discarded).toHaveLength(runs);
    expect(chooser.list()).toEqual({ sum: 'fast' });
    const measurements = chooser.takeMeasurements();
    expect(measurements).toMatchObject([{ subject: 'sum', chosen: 'fast' }]);
    expect(measurements[0]?.milliseconds['slow']).toBeGreaterThanOrEqual(4);
    expect(describeMeasurements(measurements)).toBe('formulations: 1 measured, chosen fast 1');
    expect(chooser.takeMeasurements()).toEqual([]);
  });

  it('takes the first way without measuring when told so', () => {
    const chooser = new FormulationChooser('default');
    expect(chooser.compute('sum', slowAndFast, ignore)).toBe('by the slow way');
    expect(chooser.list()).toEqual({});
  });

  it('takes what is pinned, and refuses a way that there is not', () => {
    const chooser = new FormulationChooser('measured');
    chooser.pin({ sum: 'slow', product: 'magic' });
    expect(chooser.compute('sum', slowAndFast, ignore)).toBe('by the slow way');
    expect(chooser.takeMeasurements()).toEqual([]);
    expect(() => chooser.compute('product', slowAndFast, ignore)).toThrow(
      'there is no formulation "magic" of "product"; name one of slow, fast',
    );
  });
});

describe('readFormulations', () => {
  it('reads an object of names and refuses anything else', async () => {
    const file = join(await makeTemporaryFolder(), 'formulations.json');
    await writeFile(file, '{"sum":"fast"}');
    expect(await readFormulations(file)).toEqual({ sum: 'fast' });
    await writeFile(file, '{"sum":1}');
    await expect(readFormulations(file)).rejects.toMatchObject({ code: 'config/invalid' });
    await expect(readFormulations(`${file}.none`)).rejects.toMatchObject({ code: 'config/invalid' });
  });
});

const GEOMETRIES = [1, 3].flatMap((size) =>
  [1, 2].flatMap((stride) => [0, 1].map((padding) => ({ size, stride, padding }))),
);
const MAPS = [
  [2, 8, 6, 16],
  [3, 9, 7, 5],
] as const;
const NAMES = ['op', 'slices', 'patches', 'product'];

describeWithTensorflow('formulations of a convolution', () => {
  // Sums of up to 200 products in another order; with bfloat16 the result is rounded by up to 2^-9 of itself.
  it.each([
    ['float32', 3e-6],
    ['bfloat16', 2 ** -8],
  ] as const)('agree in %s, forward and both gradients', async (precision, tolerance) => {
    const random = createRandom(11);
    const addon = loadTensorFlowAddon();
    const seen = new Set<string>();
    for (const geometry of GEOMETRIES) {
      for (const shape of MAPS) {
        const kernelShape = [geometry.size, geometry.size, shape[3], 7] as const;
        const [x, kernel] = [drawExact(random, sizeOf(shape)), drawExact(random, sizeOf(kernelShape), { std: 0.3 })];
        const subjects = listSubjects({ precision, shape, kernelShape, geometry });
        let expected: Float32Array[] | undefined;
        for (const name of NAMES) {
          const engine = new TensorFlowEngine(addon, { precision });
          const bench = new Bench(engine);
          const pinned = Object.fromEntries(
            [...subjects].filter(([, names]) => names.includes(name)).map(([subject]) => [subject, name]),
          );
          for (const subject of Object.keys(pinned)) seen.add(`${subject.split(',')[0]}: ${name}`);
          engine.formulations.pin(pinned);
          const weights = bench.put(kernel, kernelShape);
          const map = bench.putMap(x, shape);
          const y = engine.conv2d(map, weights, geometry);
          const results = [
            y,
            engine.conv2dInputGradient(y, weights, shape, geometry),
            engine.conv2dKernelGradient(map, y, kernelShape, geometry),
          ];
          const values = await Promise.all(results.map((result) => engine.download(result)));
          for (const result of results) engine.dispose(result);
          bench.close();
          expect(engine.countTensors()).toBe(0);
          expected ??= values;
          values.forEach((each, index) => {
            expect(largestError(each, expected?.[index] ?? [])).toBeLessThan((1 + index) * tolerance);
          });
        }
      }
    }
    expect([...seen].toSorted()).toEqual([
      'forward: op',
      'forward: patches',
      'input gradient: op',
      'input gradient: product',
      'kernel gradient: op',
      'kernel gradient: patches',
      'kernel gradient: slices',
    ]);
  });

  it('are measured in a run, kept in its checkpoint, and kept by the run that goes on', async () => {
    const addon = loadTensorFlowAddon();
    const runFolder = join(await makeTemporaryFolder(), 'run');
    const stream = new RecordingStream();
    const request = { config: tinyConfig(), dataset: createTinyDataset(), runFolder, stream };
    const first = new TensorFlowEngine(addon, { precision: 'bfloat16', formulations: 'measured' });
    await trainAndEvaluate({ ...request, engine: first, isResumed: false, maxSteps: 2 });
    const { header } = await readCheckpoint((await findLatestCheckpoint(runFolder)) ?? '');
    expect(Object.keys(header.formulations ?? {}).length).toBeGreaterThan(5);
    expect(header.formulations).toEqual(first.formulations.list());
    const [event] = (await readEvents(runFolder)).filter(({ event: name }) => name === 'formulations');
    expect(event).toMatchObject({ step: 1, chosen: header.formulations });
    expect(stream.text).toMatch(/formulations: \d+ measured, chosen /);

    const second = new TensorFlowEngine(addon, { precision: 'bfloat16', formulations: 'measured' });
    await trainAndEvaluate({ ...request, engine: second, isResumed: true });
    expect(second.formulations.list()).toMatchObject(header.formulations ?? {});
    // Pictures grow in this run, and only the new shapes are measured.
    const later = (await readEvents(runFolder)).filter(({ event: name }) => name === 'formulations').slice(1);
    const subjects = later.flatMap(({ measured }) => (measured as Measurement[]).map(({ subject }) => subject));
    expect(subjects.filter((subject) => subject in (header.formulations ?? {}))).toEqual([]);
  });
});

/** The ways that a measuring engine tries, by subject. */
function listSubjects({
  precision,
  shape,
  kernelShape,
  geometry,
}: {
  precision: 'float32' | 'bfloat16';
  shape: readonly [number, number, number, number];
  kernelShape: readonly [number, number, number, number];
  geometry: { size: number; stride: number; padding: number };
}): Map<string, string[]> {
  const engine = new TensorFlowEngine(loadTensorFlowAddon(), { precision, formulations: 'measured' });
  const bench = new Bench(engine);
  const map = bench.putMap(new Float32Array(sizeOf(shape)), shape);
  engine.formulations.takeMeasurements();
  const weights = bench.put(new Float32Array(sizeOf(kernelShape)), kernelShape);
  const y = engine.conv2d(map, weights, geometry);
  const dx = engine.conv2dInputGradient(y, weights, shape, geometry);
  const dKernel = engine.conv2dKernelGradient(map, y, kernelShape, geometry);
  for (const result of [y, dx, dKernel]) engine.dispose(result);
  bench.close();
  const measurements = engine.formulations.takeMeasurements();
  return new Map(measurements.map(({ subject, milliseconds }) => [subject, Object.keys(milliseconds)]));
}
