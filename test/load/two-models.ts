/** A store with two models of one size, and what each must answer to a picture: to the last bit. */
import { cp, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClassifier, runHere } from '../../serve/inference/classifier.ts';
import { toDecimal } from '../../serve/answer/decimal.ts';
import { loadModel } from '../../serve/inference/model-loader.ts';
import { readFolder } from '../../serve/node/asset-folder.ts';
import { compileWasmModules } from '../../serve/node/wasm-modules.ts';
import { startEngine } from '../../serve/inference/served-engine.ts';
import { classificationSchema } from '../../shared/api.ts';
import { createImageDecoder } from '../../shared/image/decode.ts';
import { release } from '../support/release-command.ts';
import type { Answer } from './open-loop.ts';

export interface TwoModels {
  store: string;
  ids: [string, string];
  /** [classes] by model id, as an answer states them, computed in this process. */
  expected: Map<string, number[]>;
  promote: (modelId: string) => Promise<void>;
  /** What is wrong with a 200: the model that it names, or logits that are not that model's. */
  judge: (answer: Answer) => string | undefined;
}

/** `folders` are model folders; they are published into a new store, and the first is promoted. */
export async function publishTwoModels(folders: [string, string], file: Uint8Array): Promise<TwoModels> {
  const root = await mkdtemp(join(tmpdir(), 'resnet18-edge-load-'));
  const store = join(root, 'store');
  const ids: string[] = [];
  const expected = new Map<string, number[]>();
  const { engine, ...codecs } = await compileWasmModules();
  const started = await startEngine(engine, 'fast');
  for (const [index, folder] of folders.entries()) {
    // Under a name of its own: a shipped model lies beside its channel.
    const copy = join(root, String(index));
    await cp(folder, copy, { recursive: true });
    const { status, printed, reported } = await release(['publish', copy, '--store', store, '--json']);
    if (status !== 0) throw new Error(reported);
    const { modelId } = JSON.parse(printed) as { modelId: string };
    ids.push(modelId);
    const model = await loadModel(readFolder(store), modelId, started);
    const classifier = createClassifier(runHere(model, createImageDecoder(codecs)));
    expected.set(modelId, Array.from((await classifier.classifyFile(file)).logits, toDecimal));
    classifier.dispose();
  }
  const [first = '', second = ''] = ids;
  const promote = async (modelId: string): Promise<void> => {
    const { status, reported } = await release(['promote', modelId, '--store', store]);
    if (status !== 0) throw new Error(reported);
  };
  await promote(first);
  return {
    store,
    ids: [first, second],
    expected,
    promote,
    judge({ status, headers, body }) {
      if (status !== 200) return `status ${status}: ${body}`;
      const { model, predictions } = classificationSchema.parse(JSON.parse(body));
      if (headers['x-model-id'] !== model.id) return 'the header names another model than the body';
      const logits = expected.get(model.id);
      const wrong = predictions.filter(({ index, logit }) => logits?.[index] !== logit);
      if (logits === undefined || predictions.length === 0) return `answered with model ${model.id}`;
      return wrong.length === 0 ? undefined : `model ${model.id} does not answer so: ${JSON.stringify(wrong)}`;
    },
  };
}
