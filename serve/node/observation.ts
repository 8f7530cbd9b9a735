/** What the server on Node tells its operator: figures for Prometheus, and a line of JSON for each request. */
import type { ModelPool } from '../model-pool/model-pool.ts';
import { joinObservers, type AnsweredRequest } from '../observation/observer.ts';
import type { Reading, Registry } from '../observation/prometheus.ts';
import { writeRequestLine } from '../observation/request-log.ts';
import { createServerMetrics, type ServerMetrics } from '../observation/server-metrics.ts';
import type { InferenceMeter, InferenceReading } from './inference/inference-meter.ts';
import { watchProcess } from './process-metrics.ts';

/** Seconds: from a thread that is free to the longest that a request may take. */
const WAIT_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30];

export interface ObservationOptions {
  inference: InferenceMeter;
  /** Takes a line of JSON for each request. */
  log: ((line: string) => void) | undefined;
}

export function createObservation({ inference, log }: ObservationOptions): ServerMetrics {
  const { registry, observer: metrics } = createServerMetrics();
  const logger = { requestAnswered: (request: AnsweredRequest) => log?.(writeRequestLine(request)) };
  const observer = joinObservers([metrics, logger]);
  const waits = registry.histogram({
    name: 'resnet_queue_seconds',
    help: 'Time that a run waited for a thread.',
    buckets: WAIT_BUCKETS,
  });
  inference.observe(({ waitSeconds, computeSeconds, hasLayers }) => {
    waits.observe(waitSeconds);
    if (hasLayers) observer.inferenceDone(computeSeconds);
  });
  watchInference(registry, inference);
  watchProcess(registry);
  return { registry, observer };
}

/** Which model answers; nothing while none is loaded: who counts does not begin to load. */
export function watchChampion(registry: Registry, models: Pick<ModelPool, 'champion' | 'refused'>): void {
  registry.watch({
    name: 'resnet_model_info',
    help: 'The model that answers now.',
    read(): Reading {
      const pointer = models.champion;
      if (pointer === undefined) return [];
      return [[{ model_id: pointer.champion, channel: pointer.channel, seq: String(pointer.seq) }, 1]];
    },
  });
  registry.watch({
    name: 'resnet_model_refused_info',
    help: 'The model that was promoted and could not be loaded, so that another one goes on answering; the log says why.',
    read(): Reading {
      const { refused } = models;
      return refused === undefined ? [] : [[{ model_id: refused.champion, seq: String(refused.seq) }, 1]];
    },
  });
}

function watchInference(registry: Registry, meter: InferenceMeter): void {
  const gauge = (name: string, help: string, read: (reading: InferenceReading) => number): void =>
    registry.watch({ name, help, read: () => read(meter.read()) });
  gauge('resnet_threads', 'Threads that run models.', ({ threads }) => threads);
  gauge('resnet_busy_threads', 'Threads that run or load a model now.', ({ busyThreads }) => busyThreads);
  gauge('resnet_queue_length', 'Requests that wait for a thread.', ({ waiting }) => waiting);
  gauge('resnet_queue_later_runs', 'Later runs of requests with many that wait.', ({ waitingLater }) => waitingLater);
  gauge('resnet_queue_limit', 'Requests that may wait.', ({ queueLimit }) => queueLimit);
  registry.watch({
    name: 'resnet_unfinished_runs_total',
    help: 'Runs that were not made: too many waited, their time was over, or their caller had left or been refused.',
    type: 'counter',
    read() {
      const { refused, timedOut, abandoned } = meter.read();
      return [
        [{ reason: 'refused' }, refused],
        [{ reason: 'timed-out' }, timedOut],
        [{ reason: 'abandoned' }, abandoned],
      ];
    },
  });
  registry.watch({
    name: 'resnet_lost_threads_total',
    help: 'Threads that died and were replaced.',
    type: 'counter',
    read: () => meter.read().lostThreads,
  });
}
