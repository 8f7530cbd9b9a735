/** The complete configuration of a run: everything that its result depends on, with no default anywhere else. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { architectureSchema, architectureOf, NETWORK_NAMES, parseArchitecture } from '../shared/architecture.ts';
import type { Architecture, NetworkTask } from '../shared/architecture.ts';
import { ProductError } from '../shared/errors.ts';
import { canonicalJson } from '../shared/manifest.ts';
import { augmentSchema } from './augment.ts';
import { easyImagesSchema } from './easy-images.ts';
import { imageFolderSchema } from './image-folder.ts';
import { imageSizesSchema } from './image-sizes.ts';
import { optimizerSchema } from './optimizer.ts';
import { scheduleSchema } from './schedule.ts';
import { weightAverageSchema } from './weight-average.ts';

const networkSchema = z.union(
  [
    z.enum(NETWORK_NAMES),
    /** A network of one's own: every option of the architecture but what the data decide. */
    architectureSchema.omit({ classes: true, inputShape: true }),
  ],
  { error: () => `a network is one of ${NETWORK_NAMES.join(', ')}, or an object with all its options` },
);

export const trainConfigSchema = z.strictObject({
  network: networkSchema,
  /** Names every random draw of the run. */
  seed: z.int().positive(),
  /** Start from the parameters of another run's checkpoint, or of a model that was made of it, instead of random ones. */
  startsFrom: z
    .strictObject({
      run: z.string(),
      step: z.int().nonnegative(),
      parametersSha256: z.string(),
      modelId: z.string().exactOptional(),
    })
    .nullable(),
  epochs: z.int().positive(),
  batchSize: z.int().positive(),
  /** Held out of the training images, the same number of each class; choices are made on these and never on the test set. */
  validationImages: z.int().nonnegative(),
  /** For folders of pictures, and only for them: CIFAR-10 has a size and a normalisation of its own. */
  imageFolder: imageFolderSchema.optional(),
  augment: augmentSchema,
  /** Smaller pictures in the first parts of the run; null: all epochs see them as they are. */
  imageSizes: imageSizesSchema.nullable(),
  /** Leave a part of the easy images out of an epoch; absent: every epoch has all images. */
  easyImages: easyImagesSchema.exactOptional(),
  schedule: scheduleSchema,
  optimizer: optimizerSchema,
  /** The finished network is the moving average of the parameters; null: it is the last step's. */
  weightAverage: weightAverageSchema.nullable(),
  labelSmoothing: z.number().min(0).lt(1),
  lastGamma: z.number(),
  /** Of feature maps in the engine; weights, statistics and loss are float32 in any case. */
  precision: z.enum(['float32', 'bfloat16']),
  evaluationBatchSize: z.int().positive(),
  /** Besides the one after each epoch. */
  checkpointEverySteps: z.int().positive(),
  /** At least 2: while one is replaced, another one is complete. */
  keptCheckpoints: z.int().min(2),
});

export type TrainConfig = z.infer<typeof trainConfigSchema>;

/** Read a configuration from outside. Errors: `config/invalid`, naming the key. */
export function parseTrainConfig(value: unknown): TrainConfig {
  const parsed = trainConfigSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new ProductError(
    'config/invalid',
    `not a training configuration: ${z.prettifyError(parsed.error)}; mend this and start again`,
  );
}

/** The network of a configuration for the classes and images of a data set. */
export function architectureOfConfig({ network }: TrainConfig, task: NetworkTask): Architecture {
  return typeof network === 'string' ? architectureOf(network, task) : parseArchitecture({ ...network, ...task });
}

/** sha256 of a configuration, independent of the order of its keys. */
export function hashConfig(config: unknown): string {
  return createHash('sha256').update(canonicalJson(config)).digest('hex');
}
