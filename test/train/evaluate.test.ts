import { describe, expect, it } from 'vitest';
import { normalizePixels } from '../../shared/normalize.ts';
import { buildLayerTable } from '../../shared/resnet.ts';
import { evaluateNetwork } from '../../train/evaluate.ts';
import { createTfjsEngine } from '../../train/engine/tfjs-engine.ts';
import { uploadParameters } from '../../train/training-state.ts';
import { runReference } from '../support/reference-network.ts';
import { randomWeights, tinyArchitecture } from '../support/tiny-model.ts';
import { createTinyDataset } from '../support/tiny-run.ts';

const COUNT = 7;
const architecture = tinyArchitecture();
const table = buildLayerTable(architecture);
const weights = randomWeights(architecture, 17);
const { test: images, imageShape, normalization, classNames } = createTinyDataset({ testCount: COUNT });
const source = { images, imageShape, normalization, classNames, table };

/** Logits of every image by plain loops, with the moving statistics. */
function predictByReference(): Float64Array[] {
  const values = normalizePixels(images.pixels, normalization);
  const size = values.length / COUNT;
  return Array.from({ length: COUNT }, (_, index) => {
    const found = runReference(table, weights, values.subarray(index * size, (index + 1) * size)).get('linear');
    return found ?? new Float64Array();
  });
}

describe('evaluateNetwork', () => {
  it.each([1, 3, 7, 100])('measures each image once and alike in batches of %d', async (batchSize) => {
    const engine = await createTfjsEngine('cpu');
    const parameters = uploadParameters(engine, table, weights);
    const held = engine.countTensors();
    const progress: number[] = [];
    const metrics = await evaluateNetwork({
      ...source,
      engine,
      parameters,
      batchSize,
      onProgress: (done) => progress.push(done),
    });
    expect(engine.countTensors()).toBe(held);
    for (const tensor of parameters.values()) engine.dispose(tensor);

    const confusion = [0, 1, 2].map(() => [0, 0, 0]);
    let loss = 0;
    for (const [index, logits] of predictByReference().entries()) {
      const label = images.labels[index] ?? 0;
      const predicted = logits.indexOf(Math.max(...logits));
      const row = confusion[label] ?? [];
      row[predicted] = (row[predicted] ?? 0) + 1;
      const logSum = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
      loss += (logSum - (logits[label] ?? Number.NaN)) / COUNT;
    }
    const correct = confusion.reduce((sum, row, index) => sum + (row[index] ?? 0), 0);
    // A network that always says the same would hide a mix-up of images.
    expect(
      confusion.filter((_, predicted) => confusion.some((row) => (row[predicted] ?? 0) > 0)).length,
    ).toBeGreaterThan(1);
    expect(metrics.n).toBe(COUNT);
    expect(metrics.confusion).toEqual(confusion);
    expect(metrics.correct).toBe(correct);
    expect(metrics.accuracy).toBe(correct / COUNT);
    expect(metrics.loss).toBeCloseTo(loss, 5);
    expect(metrics.classes.map(({ label, support }) => [label, support])).toEqual([
      ['left', 3],
      ['right', 2],
      ['bottom', 2],
    ]);
    expect(progress).toEqual({ 1: [1, 2, 3, 4, 5, 6, 7], 3: [3, 6, 7], 7: [7], 100: [7] }[batchSize]);
  });

  it('takes the mean of the logits of an image and of its mirror image when asked to', async () => {
    const engine = await createTfjsEngine('cpu');
    const parameters = uploadParameters(engine, table, weights);
    const [height, width, channels] = imageShape;
    const mirrored = images.pixels.map((_, index) => {
      const [row, place] = [Math.floor(index / (width * channels)), index % (width * channels)];
      const column = width - 1 - Math.floor(place / channels);
      return images.pixels[(row * width + column) * channels + (place % channels)] ?? 0;
    });
    expect(mirrored.length).toBe(COUNT * height * width * channels);
    const logitsOf = async (pixels: Uint8Array<ArrayBuffer>, views: 'one' | 'mirrored') => {
      const found: number[] = [];
      const onAnswers = (logits: Float32Array): void => void found.push(...logits);
      await evaluateNetwork({
        ...source,
        images: { ...images, pixels },
        engine,
        parameters,
        batchSize: 3,
        views,
        onAnswers,
      });
      return found;
    };
    const [plain, other] = [await logitsOf(images.pixels, 'one'), await logitsOf(mirrored, 'one')];
    const both = await logitsOf(images.pixels, 'mirrored');
    for (const tensor of parameters.values()) engine.dispose(tensor);
    expect(engine.countTensors()).toBe(0);
    const largest = Math.max(...plain.map((value, index) => Math.abs(value - (other[index] ?? 0))));
    expect(largest).toBeGreaterThan(1e-3);
    both.forEach((value, index) => expect(value).toBeCloseTo(((plain[index] ?? 0) + (other[index] ?? 0)) / 2, 6));
  });
});
