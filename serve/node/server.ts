/** The server as a Node process has it: folders, a socket, and an end. The command line is `../node.ts`. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { KernelVariant } from '../../shared/engine/kernel-module.ts';
import type { EngineMode } from '../../shared/engine/layout.ts';
import { MODEL_BUDGET_BYTES } from '../../shared/engine/memory-budget.ts';
import { ProductError } from '../../shared/errors.ts';
import type { ModelManifest } from '../../shared/manifest.ts';
import { createClassifier } from '../inference/classifier.ts';
import type { AllowedOrigins } from '../access/cors.ts';
import { openModel } from '../model-pool/open-model.ts';
import { DEFAULT_POINTER_TTL_MS } from '../pointer-ttl.ts';
import { createRateLimiter, type RateRule } from '../access/rate-limit.ts';
import { createSampleShelf } from '../samples.ts';
import { observeRunner } from '../observation/server-metrics.ts';
import { DEFAULT_UPLOAD_WAIT_MS } from '../request/upload-wait.ts';
import { readFolder } from './asset-folder.ts';
import { findClientAddress } from './client-address.ts';
import { createHttpServer } from './connections.ts';
import type { InferenceMeter } from './inference/inference-meter.ts';
import { createInferencePool, type InferencePool } from './inference/inference-pool.ts';
import { readPoolSettings, type PoolSettings } from './inference/pool-settings.ts';
import { createObservation, watchChampion } from './observation.ts';
import { servePage } from './static-files.ts';
import { compileWasmModules } from './wasm-modules.ts';

export interface ServerOptions {
  host: string;
  /** 0: any free one. */
  port: number;
  /** Folder of the model store; where it has no pointer, or is not there, the shipped model answers. */
  store: string;
  /** Time between two looks at the store's pointer. Default: 5 s. */
  pointerTtlMs?: number;
  /** How the model computes. Default: fast. */
  mode?: EngineMode;
  /** The threads that run the models. Default: one for each core. */
  pool?: Partial<PoolSettings>;
  /** Build of the engine's kernels. Default: the fastest one here. */
  variant?: KernelVariant;
  /** Folder of the built page. */
  page: string;
  /** For errors that no caller caused; `requestId` names the request that met it. */
  reportError: (error: unknown, requestId?: string) => void;
  /** Takes a line of JSON for each request. Default: none is written. */
  log?: (line: string) => void;
  /** Whether /metrics shows what the server counts. Default: yes. */
  hasMetrics?: boolean;
  access?: NodeAccess;
  /** How long a caller may keep the server waiting for a body, all waits together. Default: 2 min. */
  uploadWaitMs?: number;
  /** How long a caller may take for the headers of a request. Default: 15 s. */
  headersWaitMs?: number;
  /** How long a connection with a request may have no traffic. Default: 30 s longer than an upload may wait. */
  silenceMs?: number;
  /** How long close() waits for requests in flight before it ends their connections. Default: 10 s. */
  closeGraceMs?: number;
}

/** Whom the operator lets in. */
export interface NodeAccess {
  /** Pages that may read answers. Default: those of all origins. */
  origins?: AllowedOrigins;
  /** One of them is needed for /evaluate. Default: none is. */
  keys?: readonly string[];
  /** Requests of one client in a minute to what takes computing. Default: no limit. */
  requestsPerMinute?: number | undefined;
  /** Header in which the operator's proxy names the client. Default: the address of the connection. */
  addressHeader?: string | undefined;
}

export interface RunningServer {
  /** Where it listens, for example `http://127.0.0.1:8787`. */
  url: string;
  /** Settles when the model is loaded. Errors: 'server/not-ready', with the reason as its cause. */
  ready: Promise<ModelManifest>;
  readonly inference: InferenceMeter;
  /** The same answers without the socket, for callers in this process. */
  answer(request: Request): Promise<Response>;
  /** Takes no more requests; settles when those in flight are answered, or cut off when their time is up. */
  close(): Promise<void>;
}

/** A little more than two test sets of CIFAR-10; 64 MiB hold 21,838 records. */
const EVALUATION_LIMITS = { images: 25_000, bytes: 64 * 1024 * 1024, running: 4 };
const SHIPPED_MODELS = fileURLToPath(new URL('../models', import.meta.url));
/** Between two looks of an idle server at the store's pointer. */
const SHORTEST_LOOK_MS = 100;
/** How often connections that have become idle are looked for while closing. */
const CLOSE_INTERVAL_MS = 50;
/** Supervisors kill what has not ended after 10 s (Docker) or 30 s (Kubernetes). */
const CLOSE_GRACE_MS = 10_000;
const HEADERS_WAIT_MS = 15_000;
/** A connection without traffic is cut off somewhat after the app gives up on a body, so that the caller is told. */
const SILENCE_AFTER_UPLOAD_MS = 30_000;

/**
 * Listens at once and loads the model meanwhile.
 *
 * Errors   'web/not-built', 'server/port' when the port is taken or not allowed
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { mode = 'fast', reportError } = options;
  const modules = await compileWasmModules(options.variant);
  const pool = createInferencePool({
    ...readPoolSettings({}),
    ...options.pool,
    thread: { ...modules, mode },
    reportError,
  });
  // It starts while the routes are loaded here.
  pool.start();
  try {
    return await openServer(options, pool);
  } catch (error) {
    await pool.close();
    throw error;
  }
}

async function openServer(options: ServerOptions, pool: InferencePool): Promise<RunningServer> {
  const { host, port, store, page, reportError, log, access = {}, hasMetrics = true } = options;
  const { uploadWaitMs = DEFAULT_UPLOAD_WAIT_MS, headersWaitMs = HEADERS_WAIT_MS } = options;
  const { silenceMs = uploadWaitMs + SILENCE_AFTER_UPLOAD_MS } = options;
  const { closeGraceMs = CLOSE_GRACE_MS, pointerTtlMs = DEFAULT_POINTER_TTL_MS, mode = 'fast' } = options;
  const [{ createApp }, { createModelPool }] = await Promise.all([
    import('../app.ts'),
    import('../model-pool/model-pool.ts'),
  ]);
  // A Node process lives on when a request ends.
  const keepAlive = (): void => undefined;
  const shipped = readFolder(SHIPPED_MODELS);
  const { registry, observer } = createObservation({ inference: pool.meter, log });
  const models = createModelPool({
    shipped,
    store: readFolder(store),
    open: (source, modelId) =>
      openModel(source, modelId, {
        mode,
        async load() {
          const runner = await pool.load(source === shipped ? SHIPPED_MODELS : store, modelId);
          return createClassifier(observeRunner(runner, observer));
        },
      }),
    pointerTtlMs,
    budgetBytes: MODEL_BUDGET_BYTES.node,
    // Each thread has its own copy of each model, and callers may ask for any that is published.
    guestBudgetBytes: MODEL_BUDGET_BYTES.node / pool.meter.read().threads,
    reportError,
  });
  watchChampion(registry, models);
  const app = createApp({
    models,
    evaluation: EVALUATION_LIMITS,
    samples: createSampleShelf(readFolder(page)),
    keepAlive,
    reportError,
    page: servePage(page),
    access: { ...access, ...makeRateRule(access) },
    observe: { observer, now: () => performance.now() },
    ...(hasMetrics ? { writeMetrics: () => registry.write() } : {}),
    uploadWaitMs,
  });

  const limits = { headersMs: headersWaitMs, idleMs: silenceMs, restMs: uploadWaitMs };
  const server = createHttpServer({ fetch: app.fetch, observer, reportError, limits });
  registry.watch({
    name: 'http_open_connections',
    help: 'Connections, with the one that asks.',
    read: () => countConnections(server),
  });
  await listen(server, { host, port });
  const ready = models.prepare(keepAlive);
  // Who started the server may look at it later.
  ready.catch(() => undefined);
  // An idle server follows the pointer, too: its next answer is not the old champion's.
  const follow = setInterval(
    () => {
      models.find({}, keepAlive).catch(() => undefined);
    },
    Math.max(pointerTtlMs, SHORTEST_LOOK_MS),
  ).unref();
  return {
    url: urlOf(server),
    ready,
    inference: pool.meter,
    answer: async (request) => app.fetch(request),
    async close() {
      clearInterval(follow);
      await close(server, closeGraceMs);
      await pool.close();
    },
  };
}

function makeRateRule({ requestsPerMinute, addressHeader }: NodeAccess): { rate?: RateRule } {
  if (requestsPerMinute === undefined) return {};
  const limiter = createRateLimiter({ perMinute: requestsPerMinute });
  return { rate: { limiter, identify: (context) => findClientAddress(context, addressHeader) } };
}

function listen(server: Server, { host, port }: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const reasons: Record<string, string> = {
        EADDRINUSE: 'is in use; stop the program that has it, or set PORT to another one',
        EACCES: 'may not be used by this user; set PORT to one from 1024 on',
        EADDRNOTAVAIL: 'cannot be opened, since the host is none of this machine; set HOST to one that is',
        ENOTFOUND: 'cannot be opened, since the host is not known; set HOST to an address of this machine',
      };
      const reason = reasons[cause.code ?? ''] ?? `cannot be opened (${cause.message}); set PORT and HOST`;
      reject(new ProductError('server/port', `port ${port} of ${host} ${reason}`, { cause }));
    });
    server.listen(port, host, resolve);
  });
}

function urlOf(server: Server): string {
  const { address, family, port } = server.address() as AddressInfo;
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}

function countConnections(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
  });
}

function close(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    // A connection that was busy when close() was called stays open for more requests; nobody else ends it.
    const timer = setInterval(() => server.closeIdleConnections(), CLOSE_INTERVAL_MS);
    // A caller that never sends the rest of its request does not keep the process alive.
    const deadline = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearInterval(timer);
      clearTimeout(deadline);
      resolve();
    });
  });
}
