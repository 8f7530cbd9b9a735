/** Evaluations for tests: models with random weights, measured on random pictures by the real command's code. */
import type { Evaluation } from '../../shared/manifest.ts';
import { evaluateModel } from '../../train/convert/evaluate-model.ts';
import { readManifest } from '../../train/convert/read-model.ts';
import { tinyDataset } from './tiny-dataset.ts';

/** Measure a model folder on `images` pictures of its shape and classes; the record is left in the folder. */
export async function measureTinyModel(
  folder: string,
  options: { images?: number; robustnessImages?: number } = {},
): Promise<Evaluation> {
  const { classNames, architecture } = await readManifest(folder);
  const [height, width, channels] = architecture.inputShape;
  return evaluateModel({
    folder,
    dataset: tinyDataset({ classNames, testCount: options.images ?? 60, imageShape: [height, width, channels] }),
    command: 'a test',
    robustnessImages: options.robustnessImages,
    stream: { write: () => true, isTTY: false },
  });
}
