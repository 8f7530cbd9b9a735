/** What the champion answers on known pictures, and how far a server's answers are from it. */
import { fileURLToPath } from 'node:url';
import { ProductError } from '../../shared/errors.ts';
import { createImageDecoder } from '../../shared/image/decode.ts';
import type { ModelManifest } from '../../shared/manifest.ts';
import { channelPath, DEFAULT_CHANNEL, parseChannel } from '../../shared/store.ts';
import type { AssetSource } from '../asset-source.ts';
import { createClassifier, runHere } from '../inference/classifier.ts';
import { loadModel } from '../inference/model-loader.ts';
import { readFolder } from '../node/asset-folder.ts';
import { compileWasmModules } from '../node/wasm-modules.ts';
import { createSampleShelf } from '../samples.ts';
import { startEngine } from '../inference/served-engine.ts';
import { readChannel } from '../store/channel-pointer.ts';
import type { ModelStore } from '../store/model-store.ts';

const SHIPPED_STORE = folderOf('../models');
/** They are in `samples/` of it. */
const SAMPLES = folderOf('../../web/public');

export interface ExpectedAnswers {
  manifest: ModelManifest;
  pictures: { name: string; bytes: Uint8Array<ArrayBuffer>; logits: Float32Array }[];
}

/** What the champion of a channel answers on the samples, computed here. Errors: those of reading a model. */
export async function computeAnswers(store: ModelStore, channel: string): Promise<ExpectedAnswers> {
  const { source, modelId } = await findChampion(store, channel);
  const { engine, jpeg, webp } = await compileWasmModules();
  // The better numbers, whichever mode the server runs in.
  const model = await loadModel(source, modelId, await startEngine(engine, 'exact'));
  const classifier = createClassifier(runHere(model, createImageDecoder({ jpeg, webp })));
  try {
    const { manifest } = classifier;
    const shelf = createSampleShelf(readFolder(SAMPLES));
    const pictures: ExpectedAnswers['pictures'] = [];
    for (const { name } of (await shelf.list()).samples) {
      const { bytes } = await shelf.read(name);
      const { logits } = await classifier.classifyFile(bytes);
      pictures.push({ name, bytes, logits });
    }
    return { manifest, pictures };
  } finally {
    classifier.dispose();
  }
}

/** Where the champion lies: the store, or what the server is shipped with. */
async function findChampion(store: ModelStore, channel: string): Promise<{ source: AssetSource; modelId: string }> {
  const { champion } = (await readChannel(store, channel)).channel;
  if (champion !== null) return { source: store, modelId: champion };
  const shipped = readFolder(SHIPPED_STORE);
  const path = channelPath(DEFAULT_CHANNEL);
  const pointer = new TextDecoder().decode(await shipped.read(path));
  const { champion: modelId } = parseChannel(JSON.parse(pointer || 'null'), path);
  if (modelId !== null) return { source: shipped, modelId };
  throw new ProductError('model/missing', `${SHIPPED_STORE} ships no model; restore serve/models from git`);
}

export interface Comparison {
  pictures: number;
  logits: number;
  /** Largest of all logits. */
  difference: number;
  /** The same in standard deviations of the expected logits. */
  share: number;
}

/** `answers` [pictures][classes]. Errors: 'verify/mismatch' beyond the tolerance, which is a share as above. */
export function compareAnswers(
  { pictures }: ExpectedAnswers,
  answers: readonly (readonly number[])[],
  tolerance: number,
): Comparison {
  const expected = pictures.flatMap(({ logits }) => [...logits]);
  const deviation = standardDeviation(expected);
  const differences = pictures.map(({ logits }, picture) =>
    Math.max(...Array.from(logits, (logit, index) => Math.abs(logit - (answers[picture]?.[index] ?? Number.NaN)))),
  );
  const difference = Math.max(...differences);
  const share = difference / deviation;
  // Also refuses NaN.
  if (share <= tolerance) return { pictures: pictures.length, logits: expected.length, difference, share };
  const worst = pictures[differences.indexOf(difference)]?.name;
  throw new ProductError(
    'verify/mismatch',
    `the server's logits differ by up to ${difference.toPrecision(3)} (picture ${worst}), ${share.toPrecision(3)} of their standard deviation; at most ${tolerance} is expected: the server has the right model and computes something else`,
    { details: { difference, share, tolerance, picture: worst } },
  );
}

function standardDeviation(values: readonly number[]): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}

function folderOf(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}
