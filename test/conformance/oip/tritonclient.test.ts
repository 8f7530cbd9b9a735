/** NVIDIA's own Python client drives the real server, with the shipped model: what it reads is what our routes say. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { startServer, type RunningServer } from '../../../serve/node/server.ts';
import { activationSchema } from '../../../shared/api.ts';
import { decodeInputToken } from '../../../shared/image/token.ts';
import { classify, readAnswer, type Send } from '../../contract/api-client.ts';
import { describeUnlessMissing } from '../../support/requirements.ts';
import { makeSharedFolder } from '../../support/temporary-folder.ts';
import { nest } from './tensor-values.ts';

const PYTHON = process.env['PYTHON'] || 'python3';
const SCRIPT = join(import.meta.dirname, 'drive-tritonclient.py');
const SHAPE = [32, 32, 3];

const tensorSchema = z.object({ dtype: z.string(), shape: z.array(z.int()), values: z.array(z.number()) });
const reportSchema = z.object({
  ...Object.fromEntries(
    ['live', 'ready', 'modelReady', 'versionReady', 'unknownReady'].map((name) => [name, z.boolean()]),
  ),
  server: z.unknown(),
  model: z.looseObject({ outputs: z.unknown() }),
  version: z.unknown(),
  index: z.unknown(),
  binary: z.object({ logits: tensorSchema, probs: tensorSchema }),
  response: z.unknown(),
  json: tensorSchema,
  mixed: tensorSchema,
  layer: tensorSchema,
  versioned: tensorSchema,
  batch: tensorSchema,
  gzip: tensorSchema,
  deflate: tensorSchema,
  parameters: tensorSchema,
  async: tensorSchema,
  refused: z.record(z.string(), z.object({ status: z.string(), message: z.string() })),
});

function findMissing(): string | undefined {
  try {
    execFileSync(PYTHON, ['-c', 'import tritonclient.http'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return `no Python package tritonclient; run: ${PYTHON} -m pip install "tritonclient[http]", or set PYTHON`;
  }
}

describeUnlessMissing('tritonclient of Python', findMissing(), () => {
  let server: RunningServer;
  let report: z.infer<typeof reportSchema>;
  /** Of the first picture, as the other routes tell them. */
  let logits: number[];
  let layer1: number[];
  let logitsOfOther: number[];

  const send: Send = (path, init) => fetch(new URL(path, server.url), init);

  async function ask(sample: string) {
    const picture = await readFile(`web/public/samples/${sample}.png`);
    const { predictions, input } = await classify(send, picture, '?top_k=10');
    const pixels = await decodeInputToken(input.token, 3072);
    const inOrder = predictions.toSorted((a, b) => a.index - b.index);
    return { pixels, token: input.token, logits: inOrder.map(({ logit }) => Math.fround(logit)) };
  }

  beforeAll(async () => {
    const options = { host: '127.0.0.1', port: 0, store: await makeSharedFolder(), page: 'web/dist' };
    server = await startServer({ ...options, reportError: (error) => console.error(error) });
    await server.ready;
    const [car, cat] = [await ask('automobile-red'), await ask('cat-ginger')];
    logits = car.logits;
    logitsOfOther = cat.logits;
    const activation = await send(`/activations/layer1?input=${car.token}&values=true`);
    layer1 = ((await readAnswer(activation, activationSchema)).values ?? []).map(Math.fround);
    report = await drive([car, cat].map(({ pixels }) => nest([...pixels], SHAPE)));
  }, 120_000);
  afterAll(() => server?.close());

  async function drive(pictures: unknown): Promise<z.infer<typeof reportSchema>> {
    const child = spawn(PYTHON, [SCRIPT, new URL(server.url).host]);
    let output = '';
    let errors = '';
    child.stdout.on('data', (data: Buffer) => (output += data.toString()));
    child.stderr.on('data', (data: Buffer) => (errors += data.toString()));
    child.stdin.end(JSON.stringify(pictures));
    const [code] = (await once(child, 'close')) as [number];
    expect(code, errors).toBe(0);
    return reportSchema.parse(JSON.parse(output));
  }

  test('finds the server live and ready, and the model with its version', () => {
    expect(report).toMatchObject({
      live: true,
      ready: true,
      modelReady: true,
      versionReady: true,
      unknownReady: false,
    });
  });

  test('reads the metadata of server and model, and the index', () => {
    expect(report.server).toMatchObject({ name: 'resnet18-edge', extensions: ['binary_tensor_data'] });
    expect(report.model).toMatchObject({
      name: 'resnet18',
      versions: ['0'],
      platform: 'tensorflowjs_graphmodel',
      inputs: [{ name: 'image', datatype: 'UINT8', shape: [-1, ...SHAPE] }],
    });
    expect(report.version).toEqual(report.model);
    expect(report.index).toEqual([{ name: 'resnet18', version: '0', state: 'READY', reason: '' }]);
  });

  test('gets the logits of /classify, bit for bit, as bytes and as JSON, in any combination', () => {
    const expected = { dtype: 'float32', shape: [1, 10], values: logits };
    const { binary, json, mixed, versioned, gzip, deflate, parameters } = report;
    expect(binary.logits).toEqual(expected);
    expect(binary.probs.values.reduce((a, b) => a + b)).toBeCloseTo(1, 5);
    for (const tensor of [json, mixed, versioned, gzip, deflate, parameters, report.async]) {
      expect({ ...tensor, values: tensor.values.map(Math.fround) }).toEqual(expected);
    }
    expect(report.response).toEqual({ id: 'é 42', model_name: 'resnet18', model_version: '0' });
  });

  test('gets a layer and a batch', () => {
    expect(report.layer).toEqual({ dtype: 'float32', shape: [1, 32, 32, 64], values: layer1 });
    expect(report.batch).toEqual({ dtype: 'float32', shape: [2, 10], values: [...logits, ...logitsOfOther] });
  });

  test('raises its exception with our words for everything that is wrong', () => {
    const messages = Object.fromEntries(
      Object.entries(report.refused).map(([name, { status, message }]) => [name, `${status} ${message}`]),
    );
    expect(messages).toEqual({
      'unknown model': expect.stringMatching(/^404 there is no model "nobody"; the models are resnet18$/),
      'unknown version': expect.stringMatching(/^404 model "resnet18" has no version "9"/),
      'unknown output': expect.stringMatching(/^400 there is no output "nobody"; the outputs are logits, input, conv1/),
      'unknown input': expect.stringMatching(/^400 the model has no input "pixels"; its only input is "image"$/),
      'wrong datatype': expect.stringMatching(/^400 input "image" has datatype FP32; UINT8 is expected$/),
      'wrong shape': expect.stringMatching(
        /^400 input "image" has shape \[32, 32, 3\]; \[-1, 32, 32, 3\] is expected$/,
      ),
      classification: expect.stringMatching(/^400 .*classification is of an extension/),
      unload: expect.stringMatching(/^404 there is nothing at \/v2\/repository\/models\/resnet18\/unload/),
    });
  });
});
