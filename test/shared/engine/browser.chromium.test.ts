/** The engine in a Web Worker of a browser, with the shipped model and a picture that comes with the product. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadGraphModel } from '@tensorflow/tfjs-converter';
import { tensor4d, tidy, type Tensor } from '@tensorflow/tfjs-core';
import type { Browser } from 'playwright-core';
import { build } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { argMax } from '../../../shared/classification.ts';
import { startEdgeBackend } from '../../../shared/engine/backend.ts';
import type { EngineMode } from '../../../shared/engine/layout.ts';
import { edgeModelHandler } from '../../../shared/engine/model-handler.ts';
import type { EdgeModelFile } from '../../../shared/engine/network-file.ts';
import { decodePng } from '../../../shared/image/png-decode.ts';
import { normalizePixels } from '../../../shared/normalize.ts';
import { LOGITS_LAYER } from '../../../shared/resnet.ts';
import { readManifest } from '../../../train/convert/read-model.ts';
import { compileEngineModule, readEngineBytes } from '../../support/edge-engine.ts';
import { openBrowser } from '../../support/open-browser.ts';
import { describeWithChromium } from '../../support/requirements.ts';
import type { BrowserTask } from './browser-worker.ts';

const ORIGIN = 'http://engine.test';
const SHIPPED = 'serve/models';
const FOLDER = join(SHIPPED, readdirSync(SHIPPED).find((name) => name.length === 64) ?? '');

type ShippedFile = Omit<EdgeModelFile, 'weightsManifest'> & {
  weightsManifest: readonly (EdgeModelFile['weightsManifest'][number] & { paths: readonly string[] })[];
};

describeWithChromium('the edge engine in a Web Worker', () => {
  let browser: Browser;
  let script: string;
  let picture: Float32Array;
  let shape: [number, number, number, number];
  let classNames: readonly string[];
  const file = JSON.parse(readFileSync(join(FOLDER, 'model.json'), 'utf8')) as ShippedFile;
  const shards = file.weightsManifest.flatMap(({ paths }) => paths);

  beforeAll(async () => {
    browser = await openBrowser();
    const built = await build({
      configFile: false,
      logLevel: 'silent',
      build: {
        write: false,
        lib: {
          entry: fileURLToPath(new URL('browser-worker.ts', import.meta.url)),
          formats: ['iife'],
          name: 'engineWorker',
        },
      },
    });
    const outputs = [built].flat().flatMap((each) => ('output' in each ? each.output : []));
    script = outputs.flatMap((each) => ('code' in each ? [each.code] : [])).join('');
    const manifest = await readManifest(FOLDER);
    const { pixels } = await decodePng(readFileSync('web/public/samples/cat-ginger.png'));
    picture = normalizePixels(pixels, manifest.preprocess);
    const [height, width, channels] = manifest.architecture.inputShape;
    shape = [1, height, width, channels];
    classNames = manifest.classNames;
  });

  afterAll(() => browser?.close());

  async function classifyHere(mode: EngineMode): Promise<number[]> {
    const backend = await startEdgeBackend(compileEngineModule('relaxed'));
    const bytes = shards.map((name) => Uint8Array.from(readFileSync(join(FOLDER, name))));
    const model = await loadGraphModel(edgeModelHandler({ backend, file, shards: bytes, mode }));
    const logits = tidy(() => [
      ...(model.execute(tensor4d(picture, shape), LOGITS_LAYER) as Tensor).dataSync<'float32'>(),
    ]);
    model.dispose();
    return logits;
  }

  test.each(['exact', 'fast'] as const)('answers with the bits that Node computes (%s)', async (mode) => {
    const context = await browser.newContext();
    const files = new Map<string, Buffer>([
      ['/', Buffer.from('<!doctype html><title>engine</title>')],
      ['/worker.js', Buffer.from(script)],
      ['/edge.wasm', readEngineBytes('relaxed')],
      ...['model.json', ...shards].map((name) => [`/${name}`, readFileSync(join(FOLDER, name))] as const),
    ]);
    await context.route(`${ORIGIN}/**`, async (route) => {
      const path = new URL(route.request().url()).pathname;
      const contentType = path === '/' ? 'text/html' : path.endsWith('.js') ? 'text/javascript' : 'application/wasm';
      await route.fulfill({ body: files.get(path) ?? Buffer.alloc(0), contentType });
    });
    const page = await context.newPage();
    await page.goto(`${ORIGIN}/`);
    const task: BrowserTask = {
      module: `${ORIGIN}/edge.wasm`,
      file: `${ORIGIN}/model.json`,
      shards: shards.map((name) => `${ORIGIN}/${name}`),
      mode,
      picture: [...picture],
      shape,
    };
    const answer = await page.evaluate(
      (message) =>
        new Promise<{ logits?: number[]; error?: string }>((resolve) => {
          const worker = new Worker('/worker.js');
          worker.addEventListener('error', (event) => resolve({ error: event.message }));
          worker.addEventListener('message', ({ data }: MessageEvent<{ logits?: number[]; error?: string }>) =>
            resolve(data),
          );
          worker.postMessage(message, []);
        }),
      task,
    );
    await context.close();
    expect(answer.error).toBeUndefined();
    const logits = answer.logits ?? [];
    expect(classNames[argMax(logits)]).toBe('cat');
    expect(logits).toEqual(await classifyHere(mode));
  });
});
