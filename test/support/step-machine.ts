/** One training step after another on the same pictures, without a data set, a log or checkpoints. */
import type { Architecture } from '../../shared/architecture.ts';
import { buildLayerTable, sizeOf } from '../../shared/resnet.ts';
import type { Batch } from '../../train/batches.ts';
import type { Engine } from '../../train/engine/engine.ts';
import { initializeParameters } from '../../train/initialize.ts';
import { createRandom } from '../../train/random.ts';
import { TrainingState } from '../../train/training-state.ts';
import type { StepResult } from '../../train/training-state.ts';

export interface StepMachineOptions {
  engine: Engine;
  architecture: Architecture;
  batchSize: number;
  learningRate?: number;
}

export class StepMachine {
  readonly #state: TrainingState;
  readonly #batch: Batch;
  readonly #learningRate: number;
  #step = 0;

  constructor({ engine, architecture, batchSize, learningRate = 0.01 }: StepMachineOptions) {
    const random = createRandom(1);
    const table = buildLayerTable(architecture);
    const values = initializeParameters(table, random.fork('initialize'), { lastGamma: 1 });
    const parameters = table
      .flatMap((row) => row.parameters)
      .map(({ name, shape }) => [name, { shape, values: values.get(name) ?? new Float32Array() }] as const);
    this.#state = new TrainingState(
      engine,
      table,
      { parameters: new Map(parameters) },
      {
        optimizer: { kind: 'sgd', momentum: 0.9, nesterov: true, weightDecay: 5e-4, decayed: 'kernels' },
        weightAverage: null,
      },
    );
    const { inputShape: imageShape, classes } = architecture;
    const draw = random.fork('images');
    this.#batch = {
      images: Float32Array.from({ length: batchSize * sizeOf(imageShape) }, () => draw.nextNormal()),
      labels: Uint8Array.from({ length: batchSize }, () => draw.nextInt(classes)),
      count: batchSize,
      imageShape,
    };
    this.#learningRate = learningRate;
  }

  async step(): Promise<StepResult> {
    // An engine may keep the memory that it is handed.
    const batch = { ...this.#batch, images: this.#batch.images.slice() };
    const options = { step: this.#step++, learningRate: this.#learningRate, labelSmoothing: 0 };
    return this.#state.step(batch, options);
  }

  dispose(): void {
    this.#state.dispose();
  }
}
