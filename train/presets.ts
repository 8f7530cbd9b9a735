/** Named configurations. Each one is `BASE` plus its differences, and says why they are there. */
import { ProductError } from '../shared/errors.ts';
import { NO_AUGMENTATION } from './augment.ts';
import type { TrainConfig } from './config.ts';

/** The recipe that most published CIFAR-10 results of this network share: one cycle of SGD with Nesterov momentum. */
const BASE: TrainConfig = {
  network: 'resnet18',
  seed: 1,
  startsFrom: null,
  epochs: 30,
  batchSize: 128,
  validationImages: 5000,
  augment: { flip: 'alternating', crop: { padding: 4, mode: 'reflect' }, cutout: null },
  imageSizes: null,
  // 0.2 for 500 images in a step is what the published 26- and 80-epoch runs use; half of it for 128 to 256.
  schedule: { kind: 'one-cycle', peak: 0.1, warmupShare: 0.2, finalShare: 0 },
  optimizer: { kind: 'sgd', momentum: 0.9, nesterov: true, weightDecay: 5e-4, decayed: 'kernels' },
  weightAverage: null,
  labelSmoothing: 0.1,
  lastGamma: 0,
  precision: 'float32',
  evaluationBatchSize: 250,
  checkpointEverySteps: 50,
  keptCheckpoints: 2,
};

const PRESETS = {
  /** A first model in about an hour on two cores. Short runs gain nothing from strong augmentation. */
  'first-light': {
    ...BASE,
    epochs: 4,
    augment: { ...BASE.augment, crop: { padding: 2, mode: 'reflect' } },
    schedule: { kind: 'one-cycle', peak: 0.1, warmupShare: 0.25, finalShare: 0 },
    precision: 'bfloat16',
  },
  /** A second, lower cycle over a trained network (`--from`): the cheapest way on from a short run. */
  'second-cycle': {
    ...BASE,
    epochs: 4,
    augment: { ...BASE.augment, crop: { padding: 2, mode: 'reflect' } },
    // The first cycle ends underfitted, so the second one goes nearly as high again; it needs less warming up.
    schedule: { kind: 'one-cycle', peak: 0.08, warmupShare: 0.05, finalShare: 0 },
    precision: 'bfloat16',
  },
  /**
   * The best accuracy in about one hour on two cores with bfloat16. Half of the epochs see small pictures, which cost
   * less; a short run gains nothing from strong augmentation. Not yet run to its end: with 16 epochs, stopped at epoch 10 and
   * cooled down, it gave 91.84 % (EXPERIMENTS.md).
   */
  speedrun: {
    ...BASE,
    epochs: 20,
    augment: { ...BASE.augment, crop: { padding: 2, mode: 'reflect' } },
    imageSizes: [
      { size: 24, untilShare: 0.5 },
      { size: 28, untilShare: 0.75 },
    ],
    schedule: { kind: 'one-cycle', peak: 0.1, warmupShare: 0.15, finalShare: 0 },
    weightAverage: { decay: 0.98, everySteps: 5, statisticsBatches: 80 },
    lastGamma: 1,
    precision: 'bfloat16',
  },
  /**
   * The most that this network gives in a night on two cores: as long as the published 80-epoch runs, with the augmentation
   * that a long run needs, trained on all but the 1,000 images that the temperature is fitted on. The high rates of the
   * beginning see small pictures, which saves a fifth of the time. Half of the easy images are left out but for the first
   * and the last epochs, which saves another quarter. With a cutout of 8 such a run ended at 99.1 % in training.
   */
  flagship: {
    ...BASE,
    epochs: 80,
    validationImages: 1000,
    augment: { ...BASE.augment, cutout: { size: 12 } },
    imageSizes: [
      { size: 24, untilShare: 0.3 },
      { size: 28, untilShare: 0.6 },
    ],
    easyImages: { leftOutShare: 0.5, fromShare: 0.2, untilShare: 0.88 },
    schedule: { kind: 'one-cycle', peak: 0.1, warmupShare: 0.05, finalShare: 0 },
    weightAverage: { decay: 0.98, everySteps: 5, statisticsBatches: 80 },
    lastGamma: 1,
    precision: 'bfloat16',
  },
  /**
   * The last epochs of a run that was stopped while its rate was high (`--from`): the rate only falls. What such a run
   * has learned shows only after it.
   */
  cooldown: {
    ...BASE,
    epochs: 3,
    augment: { ...BASE.augment, crop: { padding: 2, mode: 'reflect' } },
    schedule: { kind: 'one-cycle', peak: 0.05, warmupShare: 0, finalShare: 0 },
    weightAverage: { decay: 0.98, everySteps: 5, statisticsBatches: 80 },
    lastGamma: 1,
    precision: 'bfloat16',
  },
  /** The smallest member of the CIFAR family, 78 thousand parameters: to try the pipeline on any machine. */
  tiny: {
    ...BASE,
    network: 'resnet8',
    epochs: 1,
    augment: NO_AUGMENTATION,
    labelSmoothing: 0,
    lastGamma: 1,
  },
  /**
   * The two classes of a well-known tutorial, airplane and bird, as it trains them: torchvision's ResNet-34 with biases in
   * its 3x3 convolutions, Adam, nothing held out. The folder comes from `npm run train -- export`.
   */
  cifar2: {
    ...BASE,
    network: 'resnet34-imagenet-bias',
    epochs: 5,
    batchSize: 64,
    validationImages: 0,
    imageFolder: { size: 32, normalization: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } },
    augment: NO_AUGMENTATION,
    schedule: { kind: 'constant', peak: 0.001 },
    optimizer: { kind: 'adam', beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0, decayed: 'kernels' },
    labelSmoothing: 0,
    lastGamma: 1,
  },
} as const satisfies Record<string, TrainConfig>;

export type PresetName = keyof typeof PRESETS;

export const PRESET_NAMES = Object.keys(PRESETS) as readonly PresetName[];

/** The configuration of that name. Errors: `config/unknown-preset`, with all names. */
export function presetOf(name: string): TrainConfig {
  const known = PRESET_NAMES.find((each) => each === name);
  if (known !== undefined) return structuredClone(PRESETS[known]);
  throw new ProductError(
    'config/unknown-preset',
    `there is no preset "${name}"; choose one of ${PRESET_NAMES.join(', ')}`,
  );
}
