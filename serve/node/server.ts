/** The server as a Node process has it: folders, a socket, and an end. The command line is `../node.ts`. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { createAdaptorServer } from '@hono/node-server';
import type { KernelVariant } from '../../shared/engine/kernel-module.ts';
import type { EngineMode } from '../../shared/engine/layout.ts';
import { ProductError } from '../../shared/errors.ts';
import { createImageDecoder } from '../../shared/image/decode.ts';
import type { ModelManifest } from '../../shared/manifest.ts';
import { createApp } from '../app.ts';
import { loadModel } from '../model-loader.ts';
import { createModelPool } from '../model-pool/model-pool.ts';
import { DEFAULT_POINTER_TTL_MS } from '../pointer-ttl.ts';
import { createSampleShelf } from '../samples.ts';
import { startEngine } from '../served-engine.ts';
import { readFolder } from './asset-folder.ts';
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
  /** Build of the engine's kernels, the same for all servers of a process. Default: the fastest one here. */
  variant?: KernelVariant;
  /** Folder of the built page. */
  page: string;
  reportError: (error: unknown) => void;
  /** How long close() waits for requests in flight before it ends their connections. Default: 10 s. */
  closeGraceMs?: number;
}

export interface RunningServer {
  /** Where it listens, for example `http://127.0.0.1:8787`. */
  url: string;
  /** Settles when the model is loaded. Errors: 'server/not-ready', with the reason as its cause. */
  ready: Promise<ModelManifest>;
  /** The same answers without the socket, for callers in this process. */
  answer(request: Request): Promise<Response>;
  /** Takes no more requests; settles when those in flight are answered, or cut off when their time is up. */
  close(): Promise<void>;
}

/** Models in memory beside the champion: a comparison of two more needs no reload. */
const OTHER_MODELS = 2;
/** A little more than two test sets of CIFAR-10; 64 MiB hold 21,838 records. */
const EVALUATION_LIMITS = { images: 25_000, bytes: 64 * 1024 * 1024, running: 4 };
const SHIPPED_MODELS = fileURLToPath(new URL('../models', import.meta.url));
/** How often connections that have become idle are looked for while closing. */
const CLOSE_INTERVAL_MS = 50;
/** Supervisors kill what has not ended after 10 s (Docker) or 30 s (Kubernetes). */
const CLOSE_GRACE_MS = 10_000;

/**
 * Listens at once and loads the model meanwhile.
 *
 * Errors   'web/not-built', 'server/port' when the port is taken or not allowed
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { host, port, store, page, reportError } = options;
  const { closeGraceMs = CLOSE_GRACE_MS, pointerTtlMs = DEFAULT_POINTER_TTL_MS, mode = 'fast' } = options;
  const { engine, jpeg, webp } = await compileWasmModules(options.variant);
  // A Node process lives on when a request ends.
  const keepAlive = (): void => undefined;
  const models = createModelPool({
    shipped: readFolder(SHIPPED_MODELS),
    store: readFolder(store),
    load: async (source, modelId) => loadModel(source, modelId, await startEngine(engine, mode)),
    pointerTtlMs,
    otherModels: OTHER_MODELS,
    reportError,
  });
  const app = createApp({
    models,
    decoder: createImageDecoder({ jpeg, webp }),
    evaluation: EVALUATION_LIMITS,
    samples: createSampleShelf(readFolder(page)),
    keepAlive,
    reportError,
    page: servePage(page),
  });

  const server = createAdaptorServer({ fetch: app.fetch }) as Server;
  await listen(server, { host, port });
  const ready = models.prepare(keepAlive);
  // Who started the server may look at it later.
  ready.catch(() => undefined);
  return {
    url: urlOf(server),
    ready,
    answer: async (request) => app.fetch(request),
    close: () => close(server, closeGraceMs),
  };
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
