/** How a model holds when its pictures are damaged: right answers for each corruption and severity. */
import type { ModelManifest, Robustness } from '../../shared/manifest.ts';
import { argMax } from '../../shared/classification.ts';
import { LOGITS_LAYER } from '../../shared/resnet.ts';
import { evaluationBatches } from '../batches.ts';
import { CORRUPTION_NAMES, CORRUPTIONS_ID, corruptPicture, SEVERITIES } from '../corruptions.ts';
import type { CorruptionName, Severity } from '../corruptions.ts';
import type { Dataset } from '../dataset.ts';
import { createProgressBar } from '../progress-bar.ts';
import type { ProgressStream } from '../progress-bar.ts';
import { createRandom } from '../random.ts';
import type { ModelRunner } from './runner.ts';

/** Part of the definition: other seeds give other figures. */
const SEED = 1;
const BATCH_SIZE = 50;

interface Variant {
  name: CorruptionName;
  severity: Severity;
}

/** Measure the first `images` images of the test set, as they are and in every corruption. */
export async function measureRobustness(options: {
  runner: ModelRunner;
  manifest: ModelManifest;
  dataset: Dataset;
  images: number;
  command: string;
  stream?: ProgressStream;
}): Promise<Robustness> {
  const { command, stream } = options;
  const images = Math.min(options.images, options.dataset.test.count);
  const variants = CORRUPTION_NAMES.flatMap((name) => SEVERITIES.map((severity): Variant => ({ name, severity })));
  const total = images * (variants.length + 1);
  const bar = createProgressBar({ total, ...(stream === undefined ? {} : { stream }) });
  let done = 0;
  const measure = async (variant: Variant | undefined): Promise<number> => {
    const correct = await countCorrect({ ...options, images, variant });
    done += images;
    const what = variant === undefined ? 'clean' : `${variant.name} ${variant.severity}`;
    bar.update({ done, parts: [`${what} ${((100 * correct) / images).toFixed(1)} %`] });
    return correct;
  };
  const correct = await measure(undefined);
  const corruptions: Robustness['corruptions'] = [];
  for (const variant of variants) corruptions.push({ ...variant, correct: await measure(variant) });
  bar.end();
  return {
    createdAt: new Date().toISOString(),
    command,
    definition: CORRUPTIONS_ID,
    seed: SEED,
    images,
    correct,
    corruptions,
  };
}

async function countCorrect(options: {
  runner: ModelRunner;
  manifest: ModelManifest;
  dataset: Dataset;
  images: number;
  variant: Variant | undefined;
}): Promise<number> {
  const { runner, manifest, dataset, images, variant } = options;
  const classes = manifest.classNames.length;
  const pixels = damage(dataset, images, variant);
  let correct = 0;
  for (const batch of evaluationBatches({
    images: { pixels, labels: dataset.test.labels.subarray(0, images), count: images },
    imageShape: dataset.imageShape,
    normalization: manifest.preprocess,
    batchSize: BATCH_SIZE,
  })) {
    const outputs = await runner.run(batch.images, batch.count, [LOGITS_LAYER]);
    const logits = await outputs.read(LOGITS_LAYER);
    outputs.release();
    for (let index = 0; index < batch.count; index++) {
      const answer = argMax(logits.subarray(index * classes, (index + 1) * classes));
      if (answer === batch.labels[index]) correct += 1;
    }
  }
  return correct;
}

/** The pixels of the first images, each damaged by random numbers of its own. */
function damage({ test, imageShape }: Dataset, images: number, variant: Variant | undefined): Uint8Array<ArrayBuffer> {
  const size = imageShape.reduce((product, dimension) => product * dimension, 1);
  const damaged = test.pixels.slice(0, images * size);
  if (variant === undefined) return damaged;
  const random = createRandom(SEED).fork(variant.name, variant.severity);
  for (let index = 0; index < images; index++) {
    const pixels = damaged.subarray(index * size, (index + 1) * size);
    pixels.set(corruptPicture({ pixels, shape: imageShape }, { ...variant, random: random.fork(index) }));
  }
  return damaged;
}
