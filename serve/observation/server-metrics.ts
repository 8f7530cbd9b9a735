/** What this server counts, and under which names. */
import { isOfPicture, type ModelRunner } from '../inference/classifier.ts';
import type { Observer } from './observer.ts';
import { createRegistry, type Registry } from './prometheus.ts';

/** Seconds: from a cached file to an evaluation. */
const REQUEST_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60];
/** Seconds of one picture in the model: some 10 ms on the machines that this was measured on. */
const INFERENCE_BUCKETS = [0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 1];

export interface ServerMetrics {
  observer: Required<Observer>;
  /** For numbers of other parts: `registry.watch({ name: 'resnet_queue_length', help, read: () => queue.length })`. */
  registry: Registry;
}

export function createServerMetrics(): ServerMetrics {
  const registry = createRegistry();
  const requests = registry.histogram({
    name: 'http_request_duration_seconds',
    help: 'Time until an answer was made, by route pattern and status.',
    buckets: REQUEST_BUCKETS,
  });
  const problems = registry.counter({
    name: 'resnet_problems_total',
    help: 'Requests that were answered with a problem, by its code.',
  });
  const refusals = registry.counter({
    name: 'resnet_decode_failures_total',
    help: 'Pictures that the decoder refused, by code.',
  });
  const inference = registry.histogram({
    name: 'resnet_inference_seconds',
    help: 'Time of a run of the model on one picture, which is decoded first where a file was sent.',
    buckets: INFERENCE_BUCKETS,
  });
  let inFlight = 0;
  registry.watch({
    name: 'http_requests_in_flight',
    help: 'Requests whose answer is not made yet.',
    read: () => inFlight,
  });
  return {
    registry,
    observer: {
      requestBegan() {
        inFlight += 1;
      },
      requestAnswered({ method, route, status, durationMs = 0, code }) {
        inFlight -= 1;
        requests.observe(durationMs / 1000, { method, route, status: String(status) });
        if (code !== undefined) problems.add({ code });
      },
      pictureRefused: (code) => refusals.add({ code }),
      inferenceDone: (seconds) => inference.observe(seconds),
    },
  };
}

/** The same runner; the pictures that it refuses are counted. */
export function observeRunner(runner: ModelRunner, observer: Observer): ModelRunner {
  return {
    ...runner,
    async run(task, turn) {
      try {
        return await runner.run(task, turn);
      } catch (error) {
        if (isOfPicture(error)) observer.pictureRefused?.(error.code);
        throw error;
      }
    },
  };
}
