/**
 * The whole product in miniature, with nothing replaced: two updates of a tiny network, interrupted and resumed,
 * converted, put into a store and served. What the server answers is what the trainer computes.
 */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { activationSchema, classificationSchema } from '../../shared/api.ts';
import { encodePng } from '../../shared/image/png-encode.ts';
import { normalizePixels } from '../../shared/normalize.ts';
import { buildLayerTable, LOGITS_LAYER, sizeOf } from '../../shared/resnet.ts';
import { channelPath, DEFAULT_CHANNEL } from '../../shared/store.ts';
import { startServer } from '../../serve/node/server.ts';
import type { RunningServer } from '../../serve/node/server.ts';
import { readCheckpoint } from '../../train/checkpoint.ts';
import { convertCheckpoint } from '../../train/convert/convert-checkpoint.ts';
import { readCifar10 } from '../../train/dataset.ts';
import type { Dataset } from '../../train/dataset.ts';
import { createTfjsEngine } from '../../train/engine/tfjs-engine.ts';
import { trainAndEvaluate } from '../../train/loop.ts';
import { runInference } from '../../train/network.ts';
import { uploadParameters } from '../../train/training-state.ts';
import { presetOf } from '../../train/presets.ts';
import type { TrainConfig } from '../../train/config.ts';
import { writeCifar10Folder } from '../support/cifar10-folder.ts';
import { makeSharedFolder } from '../support/temporary-folder.ts';

/** Two runtimes of float32 kernels that sum in different orders; logits here are of size 1. */
const TOLERANCE = 1e-4;
const PROBED_LAYER = 'layer2';

const CONFIG: TrainConfig = {
  ...presetOf('tiny'),
  network: {
    stem: 'cifar',
    stemChannels: 4,
    block: 'basic',
    blocks: [1, 1],
    widths: [4, 6],
    residual: true,
    shortcut: 'B',
    shortcutVariant: { kind: 'plain' },
    convolutionBias: 'none',
    head: { kind: 'linear' },
    dropout: [],
  },
  batchSize: 20,
  validationImages: 10,
};

const quiet = { write: () => true };

interface Trained {
  dataset: Dataset;
  /** Of one test picture, by the trainer. */
  expected: { logits: Float32Array; activation: Float32Array };
  steps: number[];
}

let store: string;
let trained: Trained;
let modelId: string;
let server: RunningServer;

beforeAll(async () => {
  const root = await makeSharedFolder();
  const data = join(root, 'data');
  await writeCifar10Folder(data, { recordsPerFile: 10 });
  const dataset = await readCifar10({ folder: data, recordsPerFile: 10 });
  const runFolder = join(root, 'pipeline-1');
  trained = await trainTwoSteps(dataset, runFolder);

  store = join(root, 'store');
  const staging = join(root, 'model');
  const manifest = await convertCheckpoint({
    checkpoint: runFolder,
    out: staging,
    form: { weightType: 'float32', isFolded: false },
    weights: undefined,
    parity: { images: 10, obtainData: async () => dataset, startEngine: () => createTfjsEngine('cpu') },
    command: 'test',
    report: () => undefined,
    stream: quiet,
  });
  ({ modelId } = manifest);
  const pointer = join(store, channelPath(DEFAULT_CHANNEL));
  await mkdir(dirname(pointer), { recursive: true });
  await rename(staging, join(store, modelId));
  await writeFile(pointer, JSON.stringify({ champion: modelId, seq: 0, previous: [] }));

  server = await startServer({
    host: '127.0.0.1',
    port: 0,
    store,
    page: join(import.meta.dirname, '../../web/dist'),
    reportError: (error) => {
      throw error;
    },
  });
  await server.ready;
});

afterAll(() => server?.close());

async function trainTwoSteps(dataset: Dataset, runFolder: string): Promise<Trained> {
  const engine = await createTfjsEngine('cpu');
  const request = { config: CONFIG, dataset, engine, runFolder, stream: quiet };
  const first = await trainAndEvaluate({ ...request, isResumed: false, maxSteps: 1 });
  const second = await trainAndEvaluate({ ...request, isResumed: true });
  const steps: number[] = [];
  for (const { checkpoint } of [first, second]) steps.push((await readCheckpoint(checkpoint)).header.step);

  const { header, groups } = await readCheckpoint(second.checkpoint);
  const table = buildLayerTable(header.architecture);
  const parameters = uploadParameters(engine, table, groups.get('parameters') ?? new Map());
  const images = engine.upload(normalizePixels(firstTestPicture(dataset), dataset.normalization), [1, 32, 32, 3]);
  const outputs = runInference(engine, table, parameters, images, [PROBED_LAYER, LOGITS_LAYER]);
  const download = async (name: string): Promise<Float32Array> => {
    const tensor = outputs.get(name);
    if (tensor === undefined) throw new Error(`no ${name}`);
    return engine.download(tensor);
  };
  const expected = { logits: await download(LOGITS_LAYER), activation: await download(PROBED_LAYER) };
  for (const tensor of [images, ...parameters.values(), ...outputs.values()]) engine.dispose(tensor);
  return { dataset, expected, steps };
}

function firstTestPicture({ test, imageShape }: Dataset): Uint8Array<ArrayBuffer> {
  return test.pixels.slice(0, sizeOf(imageShape));
}

async function uploadFirstPicture(path: string): Promise<unknown> {
  const pixels = firstTestPicture(trained.dataset);
  const body = await encodePng({ width: 32, height: 32, channels: 3, pixels });
  const response = await fetch(`${server.url}${path}`, { method: 'POST', body });
  expect(response.status).toBe(200);
  expect(response.headers.get('x-model-id')).toBe(modelId);
  return response.json();
}

function largestDifference(actual: readonly number[], expected: Float32Array): number {
  expect(actual).toHaveLength(expected.length);
  return actual.reduce(
    (largest, value, index) => Math.max(largest, Math.abs(value - (expected[index] ?? Number.NaN))),
    0,
  );
}

describe('from two updates to an answer', () => {
  it('is interrupted after the first update and finishes with the second', () => {
    expect(trained.steps).toEqual([1, 2]);
  });

  it('answers /classify with the logits of the trainer', async () => {
    const { predictions, model } = classificationSchema.parse(await uploadFirstPicture('/classify?top_k=10'));
    expect(model).toEqual({ id: modelId, name: 'custom.pipeline-1', channel: DEFAULT_CHANNEL, seq: 0, mode: 'fast' });
    const logits = predictions.toSorted((a, b) => a.index - b.index).map(({ logit }) => logit);
    expect(largestDifference(logits, trained.expected.logits)).toBeLessThan(TOLERANCE);
    expect(predictions.map(({ label }) => label).toSorted()).toEqual([...trained.dataset.classNames].toSorted());
  });

  it('answers /activations with the values of the trainer, by upload and by token', async () => {
    const uploaded = activationSchema.parse(await uploadFirstPicture(`/activations/${PROBED_LAYER}?values=true`));
    expect(largestDifference(uploaded.values ?? [], trained.expected.activation)).toBeLessThan(TOLERANCE);

    const { input } = classificationSchema.parse(await uploadFirstPicture('/classify'));
    const path = `/activations/${PROBED_LAYER}?values=true&input=${input.token}`;
    const byToken = activationSchema.parse(await (await fetch(`${server.url}${path}`)).json());
    expect(byToken.values).toEqual(uploaded.values);
  });
});
