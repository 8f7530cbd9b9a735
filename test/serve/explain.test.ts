/** /explain and `abstain` where the model matters: the shipped one on real images, and networks of other forms. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createClassifier, runHere, type Classifier } from '../../serve/inference/classifier.ts';
import { gatherEvidence, measureResidual } from '../../serve/answer/explanation.ts';
import { loadModel } from '../../serve/inference/model-loader.ts';
import { readFolder } from '../../serve/node/asset-folder.ts';
import { startServer, type RunningServer } from '../../serve/node/server.ts';
import { compileWasmModules } from '../../serve/node/wasm-modules.ts';
import { describePredictions, judgeAnswer } from '../../serve/answer/prediction.ts';
import { startEngine } from '../../serve/inference/served-engine.ts';
import { createImageDecoder } from '../../shared/image/decode.ts';
import { findThresholds, measureRoughness, scoreCertainty } from '../../shared/abstention.ts';
import {
  batchClassificationSchema,
  classificationSchema,
  explanationSchema,
  labelListSchema,
  occlusionSchema,
} from '../../shared/api.ts';
import { argMax } from '../../shared/classification.ts';
import { encodePng } from '../../shared/image/png-encode.ts';
import { CIFAR10 } from '../../shared/cifar10.ts';
import { channelPath, DEFAULT_CHANNEL, parseChannel } from '../../shared/store.ts';
import { formOf, readAnswer, readProblem } from '../contract/api-client.ts';
import { describeWithCifar10 } from '../support/cifar10-folder.ts';
import { makeRandom } from '../support/seeded-random.ts';
import { makeSharedFolder } from '../support/temporary-folder.ts';
import { tinyArchitecture, writeTinyStore, type TinyModelOptions } from '../support/tiny-model.ts';

const SIDE = 32;
const servers: RunningServer[] = [];
afterAll(async () => {
  for (const server of servers) await server.close();
});

async function serve(options: TinyModelOptions): Promise<RunningServer> {
  const store = await makeSharedFolder();
  await writeTinyStore(store, options);
  const failed = (error: unknown): never => expect.fail(String(error));
  const server = await startServer({ host: '127.0.0.1', port: 0, store, page: 'web/dist', reportError: failed });
  servers.push(server);
  await server.ready;
  return server;
}

describe('a network of another form', () => {
  const hidden = [{ units: 7, dropout: 0 }];
  const perceptron = tinyArchitecture({ classes: 10, head: { kind: 'perceptron', hidden } });

  test('without a class activation map is refused by name, and has occlusion', async () => {
    const { url } = await serve({ architecture: perceptron });
    const problem = await readProblem(await fetch(new URL('/explain', url)));
    expect(problem).toMatchObject({ status: 422, code: 'explain/unsupported', type: '/docs#explain/unsupported' });
    expect(problem.detail).toMatch(/"linear" reads "head\.0\.relu"/);
    const answer = await fetch(new URL('/explain?method=occlusion', url));
    expect(await readAnswer(answer, occlusionSchema)).toMatchObject({ agreement: null, patch: 2, stride: 1 });
  });

  test.each([
    ['folded', { isFolded: true }],
    ['in float16', { weightType: 'float16' }],
    ['in uint8', { weightType: 'uint8' }],
    ['with bottlenecks', { architecture: tinyArchitecture({ classes: 10, block: 'bottleneck' }) }],
  ] as const)('%s is explained to its logit', async (_, options) => {
    const { url } = await serve({ architecture: tinyArchitecture({ classes: 10 }), ...options });
    for (const wanted of [0, 9]) {
      const answer = await fetch(new URL(`/explain?class=${wanted}`, url));
      const { residual, class: shown, bias, contributions } = await readAnswer(answer, explanationSchema);
      expect(shown.index).toBe(wanted);
      expect(residual).toBeLessThan(1e-5 * Math.max(1, ...contributions.map(Math.abs)));
      expect(contributions.reduce((a, b) => a + b, bias)).toBeCloseTo(shown.logit, 5);
    }
  });
});

describe('a model with thresholds', () => {
  const rule = {
    score: 'energy',
    threshold: -1000,
    roughness: { min: 1, max: 40 },
    coverage: 0.95,
    images: 5000,
  } as const;
  const architecture = tinyArchitecture({ classes: 10 });

  /** Of 8 x 8 x 3: 15 from one column to the next, all rows alike. */
  const drawStripes = (index: number): number => (index % 24) * 5;

  async function answerTo(url: string, value: (index: number) => number) {
    const pixels = Uint8Array.from({ length: 8 * 8 * 3 }, (_, index) => value(index));
    const body = await encodePng({ width: 8, height: 8, channels: 3, pixels });
    const single = await readAnswer(
      await fetch(new URL('/classify', url), { method: 'POST', body }),
      classificationSchema,
    );
    const explained = await fetch(new URL('/explain', url), { method: 'POST', body });
    expect((await readAnswer(explained, explanationSchema)).abstain).toEqual(single.abstain);
    const form = formOf([{ name: 'a.png', bytes: body }]);
    const many = await fetch(new URL('/classify', url), { method: 'POST', body: form });
    const { results } = await readAnswer(many, batchClassificationSchema);
    expect(results[0]).toMatchObject({ abstain: single.abstain });
    const list = await fetch(new URL('/classify?format=list', url), { method: 'POST', body });
    expect(labelListSchema.parse(await list.json()).length).toBe(5);
    return single;
  }

  test('says with every answer whether it knows, and why not', async () => {
    const { url } = await serve({ architecture, abstention: rule });
    expect((await answerTo(url, () => 90)).abstain).toMatchObject({
      isAbstained: true,
      reasons: ['too-smooth'],
      roughness: 0,
      roughnessRange: { min: 1, max: 40 },
      threshold: -1000,
      kind: 'energy',
    });
    expect((await answerTo(url, (index) => (index * 5) % 256)).abstain).toMatchObject({
      isAbstained: true,
      reasons: ['too-rough'],
    });
    expect((await answerTo(url, drawStripes)).abstain).toMatchObject({
      isAbstained: false,
      reasons: [],
      roughness: 7.5,
    });
    const unsure = await serve({ architecture, abstention: { ...rule, threshold: 1000 } });
    const answer = await answerTo(unsure.url, drawStripes);
    expect(answer.abstain).toMatchObject({ isAbstained: true, reasons: ['unsure'] });
    expect(answer.predictions.length).toBe(5);
  });

  test('is another model than the same without them, whose answers have no such part', async () => {
    const [first, second] = [await makeSharedFolder(), await makeSharedFolder()];
    const plain = await writeTinyStore(first, { architecture });
    const careful = await writeTinyStore(second, { architecture, abstention: rule });
    expect(careful.modelId).not.toBe(plain.modelId);
    expect(plain).not.toHaveProperty('abstention');
    const { url } = await serve({ architecture });
    const pixels = new Uint8Array(8 * 8 * 3);
    const body = await encodePng({ width: 8, height: 8, channels: 3, pixels });
    expect(await (await fetch(new URL('/classify', url), { method: 'POST', body })).json()).not.toHaveProperty(
      'abstain',
    );
  });
});

describeWithCifar10('the shipped model on CIFAR-10', (folder) => {
  /** The whole claim is on 1,000 images; the suite takes fewer. */
  const IMAGES = Number(process.env['EXPLAIN_IMAGES'] ?? 200);
  const FOREIGN = 20;
  let classifier: Classifier;
  const images: { pixels: Uint8Array; logits: Float32Array; residuals: number[] }[] = [];

  beforeAll(async () => {
    const { engine: build, ...codecs } = await compileWasmModules();
    const engine = await startEngine(build, 'fast');
    const pointer: unknown = JSON.parse(await readFile(join('serve/models', channelPath(DEFAULT_CHANNEL)), 'utf8'));
    const { champion } = parseChannel(pointer, DEFAULT_CHANNEL);
    const model = await loadModel(readFolder('serve/models'), champion ?? expect.fail('no model is shipped'), engine);
    classifier = createClassifier(runHere(model, createImageDecoder(codecs)));
    const records = await readFile(join(folder, CIFAR10.testFile));
    for (let index = 0; index < IMAGES; index++) {
      const pixels = interleave(records.subarray(index * CIFAR10.recordBytes + 1, (index + 1) * CIFAR10.recordBytes));
      const evidence = await gatherEvidence(classifier, pixels, argMax);
      const { logits } = evidence;
      images.push({ pixels, logits, residuals: [measureResidual(evidence, argMax(logits))] });
    }
  }, 900_000);
  afterAll(() => classifier.dispose());

  test('has a map whose mean is the logit, to 1e-4 of it', () => {
    const relative = images.map(({ logits, residuals: [residual = Number.NaN] }) => residual / Math.max(...logits));
    expect(relative.length).toBe(IMAGES);
    expect(Math.max(...relative)).toBeLessThan(1e-4);
    if (process.env['EXPLAIN_IMAGES'] !== undefined) console.log(`n = ${IMAGES}, largest ${Math.max(...relative)}`);
  });

  test('with thresholds abstains from noise and flat colour, and from a good share of drawn shapes', async () => {
    const { manifest } = classifier;
    const shape = manifest.architecture.inputShape;
    const measured = images.map(({ pixels, logits }) => ({
      score: scoreCertainty(logits, 'energy', manifest.temperature),
      roughness: measureRoughness(pixels, shape),
    }));
    const { coverage, ...thresholds } = findThresholds(measured, { unsure: 0.04, rough: 0.005 });
    expect(coverage).toBeGreaterThanOrEqual(0.95);
    const careful = {
      ...manifest,
      abstention: { score: 'energy', ...thresholds, coverage, images: measured.length } as const,
    };
    const random = makeRandom(11);
    const shareOf = async (draw: () => Uint8Array): Promise<number> => {
      let abstained = 0;
      for (let round = 0; round < FOREIGN; round++) {
        const pixels = draw();
        const logits = await classifier.classify(pixels);
        expect(describePredictions(logits, [argMax(logits)], manifest).length).toBe(1);
        if (judgeAnswer({ logits, pixels }, careful).abstain?.isAbstained === true) abstained++;
      }
      return abstained / FOREIGN;
    };
    const shares = {
      noise: await shareOf(() => Uint8Array.from({ length: SIDE * SIDE * 3 }, () => random() % 256)),
      flat: await shareOf(() => drawShapes(random, 0)),
      shapes: await shareOf(() => drawShapes(random, 3)),
    };
    if (process.env['EXPLAIN_IMAGES'] !== undefined) console.log(shares, careful.abstention);
    expect(shares).toMatchObject({ noise: 1, flat: 1 });
    // Neither sign knows what is in a picture: one with usual edges that the network is sure of would be answered.
    expect(shares.shapes).toBeGreaterThan(0.2);
  }, 900_000);
});

/** [channels, height, width] as the data set has it -> [height, width, channels]. */
function interleave(planes: Uint8Array): Uint8Array {
  const size = planes.length / 3;
  return Uint8Array.from(planes, (_, index) => planes[(index % 3) * size + Math.floor(index / 3)] ?? 0);
}

/** Squares and discs of one colour each on a ground of another. */
function drawShapes(random: () => number, count: number): Uint8Array {
  const drawColour = () => [random() % 256, random() % 256, random() % 256] as const;
  const ground = drawColour();
  const pixels = Uint8Array.from({ length: SIDE * SIDE * 3 }, (_, index) => ground[index % 3] ?? 0);
  for (let shape = 0; shape < count; shape++) {
    const colour = drawColour();
    const [centreX, centreY, radius, isDisc] = [
      random() % SIDE,
      random() % SIDE,
      3 + (random() % 9),
      random() % 2 === 0,
    ];
    for (let y = 0; y < SIDE; y++) {
      for (let x = 0; x < SIDE; x++) {
        const [dx, dy] = [Math.abs(x - centreX), Math.abs(y - centreY)];
        const isInside = isDisc ? dx * dx + dy * dy < radius * radius : Math.max(dx, dy) < radius;
        if (isInside) pixels.set(colour, (y * SIDE + x) * 3);
      }
    }
  }
  return pixels;
}
