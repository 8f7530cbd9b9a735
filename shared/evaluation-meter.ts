/** Measures a model on labelled images, one after the other: the one meter of the command line and of the server. */
import { argMax, softmax } from './classification.ts';
import type { Calibration, Metrics } from './manifest.ts';
import { MetricsAccumulator } from './metrics.ts';
import type { TestAnswers } from './test-answers.ts';

export interface Measurement {
  /** With calibrated probabilities. */
  metrics: Metrics;
  calibration: Calibration;
  /** In the order in which the images were added. */
  answers: TestAnswers;
}

/** At most 256 classes. Keeps some bytes for each image, never its logits. */
export class EvaluationMeter {
  readonly #temperature: number;
  readonly #before: MetricsAccumulator;
  readonly #after: MetricsAccumulator;
  readonly #labels: number[] = [];
  readonly #predicted: number[] = [];
  readonly #confidence: number[] = [];
  #correct = 0;

  constructor({ classNames, temperature }: { classNames: readonly string[]; temperature: number }) {
    this.#temperature = temperature;
    this.#before = new MetricsAccumulator({ classNames });
    this.#after = new MetricsAccumulator({ classNames, temperature });
  }

  /** Images so far. */
  get n(): number {
    return this.#labels.length;
  }

  /** Right answers so far. */
  get correct(): number {
    return this.#correct;
  }

  /** Add one image: its logits [classes] and its true class. */
  add(logits: ArrayLike<number>, label: number): void {
    this.#before.add(logits, label);
    this.#after.add(logits, label);
    const predicted = argMax(logits);
    this.#labels.push(label);
    this.#predicted.push(predicted);
    this.#confidence.push(softmax(logits, this.#temperature)[predicted] ?? Number.NaN);
    this.#correct += predicted === label ? 1 : 0;
  }

  /** At least one image is needed. */
  summarize(): Measurement {
    const metrics = this.#after.summarize();
    return {
      metrics,
      calibration: {
        temperature: this.#temperature,
        before: describeCalibration(this.#before),
        after: describeCalibration(this.#after),
      },
      answers: {
        labels: Uint8Array.from(this.#labels),
        predicted: Uint8Array.from(this.#predicted),
        confidence: Float32Array.from(this.#confidence),
      },
    };
  }
}

function describeCalibration(accumulator: MetricsAccumulator): Calibration['before'] {
  const { loss, expectedCalibrationError } = accumulator.summarize();
  return { loss, expectedCalibrationError, bins: accumulator.reliability() };
}
