/**
 * The exponential moving average of the trained parameters. It answers better than the last step of a run does; the
 * statistics of batch norm do not average with it and are measured again (`measureStatistics` in `network.ts`).
 *
 * Source: Polyak and Juditsky 1992; with the early decay that TensorFlow's `ExponentialMovingAverage` has.
 */
import { z } from 'zod';
import type { CheckpointTensor } from './checkpoint.ts';
import type { Engine, EngineTensor } from './engine/engine.ts';

export const weightAverageSchema = z.strictObject({
  /** What remains of the average in each update of it. */
  decay: z.number().gt(0).lt(1),
  /** Steps from one update of the average to the next. */
  everySteps: z.int().positive(),
  /** Training batches that the statistics of the averaged network are measured on. */
  statisticsBatches: z.int().positive(),
});

export type WeightAverageConfig = z.infer<typeof weightAverageSchema>;

/** average = decay * average + (1 - decay) * value, for every parameter that is trained. */
export class WeightAverage {
  readonly #engine: Engine;
  readonly #config: WeightAverageConfig;
  readonly #values = new Map<string, EngineTensor>();

  /** `first`: what the average starts at, by name. */
  constructor(engine: Engine, config: WeightAverageConfig, first: ReadonlyMap<string, CheckpointTensor>) {
    this.#engine = engine;
    this.#config = config;
    for (const [name, { shape, values }] of first) {
      this.#values.set(name, engine.upload(Float32Array.from(values), shape));
    }
  }

  /** Owned by the average; valid until the next {@link follow}. */
  get values(): ReadonlyMap<string, EngineTensor> {
    return this.#values;
  }

  /** Take the parameters in, if it is time; `step` updates were done before the one that made them. */
  follow(parameters: ReadonlyMap<string, EngineTensor>, step: number): void {
    const { decay, everySteps } = this.#config;
    if ((step + 1) % everySteps !== 0) return;
    const updates = (step + 1) / everySteps - 1;
    const kept = Math.min(decay, (1 + updates) / (10 + updates));
    for (const [name, average] of this.#values) {
      const value = parameters.get(name);
      if (value === undefined) throw new Error(`internal: there is no parameter "${name}" to average`);
      this.#values.set(name, this.#engine.combine(kept, average, 1 - kept, value));
      this.#engine.dispose(average);
    }
  }

  dispose(): void {
    for (const tensor of this.#values.values()) this.#engine.dispose(tensor);
    this.#values.clear();
  }
}
