/** A model on this thread, as the Worker has it. */
import { readFile } from 'node:fs/promises';
import { memory } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { createClassifier, runHere, type Classifier } from '../../../serve/inference/classifier.ts';
import { loadModel } from '../../../serve/inference/model-loader.ts';
import { readFolder } from '../../../serve/node/asset-folder.ts';
import { compileWasmModules } from '../../../serve/node/wasm-modules.ts';
import { startEngine } from '../../../serve/inference/served-engine.ts';
import { createImageDecoder } from '../../../shared/image/decode.ts';
import { makeSharedFolder } from '../../support/temporary-folder.ts';
import { writeTinyStore } from '../../support/tiny-model.ts';

let classifier: Classifier;
let file: Uint8Array;

beforeAll(async () => {
  const store = await makeSharedFolder();
  const { modelId } = await writeTinyStore(store);
  const { engine, ...codecs } = await compileWasmModules();
  const model = await loadModel(readFolder(store), modelId, await startEngine(engine, 'fast'));
  classifier = createClassifier(runHere(model, createImageDecoder(codecs)));
  file = new Uint8Array(await readFile('web/public/samples/automobile-red.png'));
});

describe('a model on this thread', () => {
  test('keeps no tensor of a run', async () => {
    const { pixels } = await classifier.prepare(file);
    const before = memory().numTensors;
    for (let round = 0; round < 50; round++) {
      await classifier.classifyFile(file);
      await classifier.activateAll(pixels, classifier.manifest.layers);
    }
    expect(memory().numTensors).toBe(before);
  });

  test('says the same of a file as of the pixels that it is', async () => {
    const { input, logits } = await classifier.classifyFile(file);
    expect(await classifier.prepare(file)).toEqual({
      pixels: input.pixels,
      sha256: input.sha256,
      width: 32,
      height: 32,
    });
    expect(await classifier.classify(input.pixels)).toEqual(logits);
  });

  test('computes nothing for a caller that has left', async () => {
    const caller = new AbortController();
    const own = classifier.forCaller({ signal: caller.signal });
    expect((await own.classifyFile(file)).logits.length).toBe(3);
    caller.abort();
    await expect(own.classifyFile(file)).rejects.toMatchObject({ code: 'request/aborted' });
    expect((await classifier.classifyFile(file)).logits.length).toBe(3);
  });

  test('lets others go first from the second run of a caller on', async () => {
    const { pixels } = await classifier.prepare(file);
    const long = classifier.forCaller({ signal: new AbortController().signal });
    await long.classify(pixels);
    const order: string[] = [];
    const later = long.classify(pixels).then(() => order.push('later'));
    await classifier.forCaller({ signal: new AbortController().signal }).classify(pixels);
    order.push('first');
    await later;
    expect(order).toEqual(['first', 'later']);
  });
});
