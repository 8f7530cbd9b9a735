/**
 * A run in miniature: pictures that can be learned, a network of about a thousand weights, and a configuration for both.
 * Every bit of it follows from the seed.
 */
import { createHash } from 'node:crypto';
import { NO_AUGMENTATION } from '../../train/augment.ts';
import type { TrainConfig } from '../../train/config.ts';
import type { Dataset, LabelledImages } from '../../train/dataset.ts';
import { createRandom } from '../../train/random.ts';
import type { Random } from '../../train/random.ts';
import { tinyArchitecture } from './tiny-model.ts';

const CLASS_NAMES = ['left', 'right', 'bottom'];
const SIZE = 8;

export interface TinyDatasetOptions {
  trainingCount?: number;
  testCount?: number;
  seed?: number;
}

/** Noise with a bright half: the left, the right or the lower one. */
export function createTinyDataset({ trainingCount = 60, testCount = 21, seed = 1 }: TinyDatasetOptions = {}): Dataset {
  const random = createRandom(seed);
  const training = drawImages(random.fork('training'), trainingCount);
  const test = drawImages(random.fork('test'), testCount);
  return {
    name: 'bright halves',
    classNames: CLASS_NAMES,
    imageShape: [SIZE, SIZE, 3],
    normalization: { mean: [0.4, 0.4, 0.4], std: [0.25, 0.25, 0.25] },
    sha256: createHash('sha256').update(training.pixels).update(test.pixels).digest('hex'),
    training,
    test,
  };
}

function drawImages(random: Random, count: number): LabelledImages {
  const pixels = new Uint8Array(count * SIZE * SIZE * 3);
  const labels = Uint8Array.from({ length: count }, (_, index) => index % CLASS_NAMES.length);
  for (let index = 0; index < pixels.length; index++) {
    const pixel = Math.floor(index / 3);
    const [column, line] = [pixel % SIZE, Math.floor(pixel / SIZE) % SIZE];
    const label = labels[Math.floor(pixel / SIZE / SIZE)];
    const isBright = [column < SIZE / 2, column >= SIZE / 2, line >= SIZE / 2][label ?? 0] ?? false;
    pixels[index] = random.nextInt(156) + (isBright ? 100 : 0);
  }
  return { pixels, labels, count };
}

/** Two epochs of 4 steps (13, 13, 13 and 9 pictures), with everything switched on that a resumed run must repeat. */
export function tinyConfig(differences: Partial<TrainConfig> = {}): TrainConfig {
  const { classes: _classes, inputShape: _inputShape, ...network } = tinyArchitecture();
  return {
    network,
    seed: 7,
    startsFrom: null,
    epochs: 2,
    batchSize: 13,
    validationImages: 12,
    augment: { ...NO_AUGMENTATION, crop: { padding: 1, mode: 'reflect' }, cutout: { size: 2 } },
    imageSizes: [{ size: 6, untilShare: 0.5 }],
    weightAverage: { decay: 0.8, everySteps: 2, statisticsBatches: 3 },
    schedule: { kind: 'one-cycle', peak: 0.1, warmupShare: 0.25, finalShare: 0 },
    optimizer: { kind: 'sgd', momentum: 0.9, nesterov: true, weightDecay: 5e-4, decayed: 'kernels' },
    labelSmoothing: 0.1,
    lastGamma: 1,
    precision: 'float32',
    evaluationBatchSize: 8,
    checkpointEverySteps: 1000,
    keptCheckpoints: 2,
    ...differences,
  };
}

/** What a terminal would show, kept. */
export class RecordingStream {
  text = '';

  write(text: string): void {
    this.text += text;
  }
}
