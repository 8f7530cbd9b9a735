/**
 * The server as a Worker has it: the shipped models, samples and the page are its static assets, the model store is an R2
 * bucket; what an operator may switch on are variables and bindings. The Worker itself is `worker.ts`.
 */
import jpeg from '@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm';
import webp from '@jsquash/webp/codec/dec/webp_dec.wasm';
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { chooseVariant } from '../shared/engine/kernel-module.ts';
import relaxed from '../shared/engine/wasm/edge-relaxed.wasm';
import simd from '../shared/engine/wasm/edge-simd.wasm';
import { MODEL_BUDGET_BYTES } from '../shared/engine/memory-budget.ts';
import { createImageDecoder } from '../shared/image/decode.ts';
import { parseApiKeys } from './access/api-keys.ts';
import { createApp } from './app.ts';
import type { AssetSource } from './asset-source.ts';
import { createClassifier, runHere } from './inference/classifier.ts';
import { parseOrigins } from './access/cors.ts';
import { loadFiles } from './inference/model-loader.ts';
import { createModelPool } from './model-pool/model-pool.ts';
import { openModel } from './model-pool/open-model.ts';
import type { AnsweredRequest, Observer } from './observation/observer.ts';
import { PAGE_PATH, type PageFiles } from './page-files.ts';
import { parsePointerTtl } from './pointer-ttl.ts';
import type { RateLimiter } from './access/rate-limit.ts';
import { parseLogForm, writeErrorLine, writeRequestLine } from './observation/request-log.ts';
import { createSampleShelf } from './samples.ts';
import { parseEdgeMode, startEngine, type EngineBuild } from './inference/served-engine.ts';
import { readInto } from './store/read-into.ts';
import { readBucket } from './store/r2-source.ts';

/** Where the build puts serve/models. */
const SHIPPED_FOLDER = 'models/';

/** About 10 s of the 30 s of processor time that a request has, and little of the memory. */
const EVALUATION_LIMITS = { images: 200, bytes: 8 * 1024 * 1024, running: 1 };

/** A Worker compiles nothing at run time, so every build that it may choose is part of it. */
const BUILD: EngineBuild =
  chooseVariant() === 'simd' ? { variant: 'simd', module: simd } : { variant: 'relaxed', module: relaxed };

/** What the operator may add to the bindings of wrangler.toml, which names them. */
export interface OptionalBindings {
  /** A secret, so never in wrangler.toml: "wrangler secret put API_KEYS". */
  API_KEYS?: string;
  RATE_LIMITER?: RateLimit;
  REQUESTS?: AnalyticsEngineDataset;
}

/** The binding tells no time; its periods are 10 or 60 s. */
const RETRY_AFTER_SECONDS = 60;

/** Errors: 'server/setting', 'server/pointer-ttl', 'server/edge-mode'. */
export function createWorkerApp(env: Env & OptionalBindings): OpenAPIHono {
  const { ASSETS: assets, MODELS, POINTER_TTL_MS, RATE_LIMITER, REQUESTS } = env;
  const mode = parseEdgeMode(env.EDGE_MODE);
  const isLogged = parseLogForm(env.LOG) === 'json';
  const reportError = (error: unknown, requestId?: string): void => {
    if (isLogged) console.error(writeErrorLine(error, requestId));
    else console.error(...(requestId === undefined ? [] : [`request ${requestId}:`]), error);
  };
  const decoder = createImageDecoder({ jpeg, webp });
  // Whoever wants a model waits for the same start, or begins another one if it fails.
  startEngine(BUILD, mode).catch(() => undefined);
  const observer: Observer = {
    requestAnswered(request) {
      if (isLogged) console.log(writeRequestLine(request));
      REQUESTS?.writeDataPoint(toDataPoint(request));
    },
  };
  return createApp({
    models: createModelPool({
      shipped: readAssets(assets, SHIPPED_FOLDER),
      store: {
        ...readBucket(MODELS),
        async readInto(path, buffer) {
          const object = await MODELS.get(path);
          return object === null ? undefined : readInto(object.body, buffer);
        },
      },
      open: (source, modelId) =>
        openModel(source, modelId, {
          mode,
          load: async (files) =>
            createClassifier(runHere(await loadFiles(files, await startEngine(BUILD, mode)), decoder)),
        }),
      pointerTtlMs: parsePointerTtl(String(POINTER_TTL_MS)),
      budgetBytes: MODEL_BUDGET_BYTES.worker,
      reportError,
    }),
    evaluation: EVALUATION_LIMITS,
    samples: createSampleShelf(readAssets(assets)),
    keepAlive: (context, work) => context.executionCtx.waitUntil(work),
    reportError,
    page: servePage(assets),
    access: {
      origins: parseOrigins(env.CORS_ORIGINS),
      keys: parseApiKeys(env.API_KEYS),
      ...(RATE_LIMITER === undefined ? {} : { rate: { limiter: bindLimiter(RATE_LIMITER), identify } }),
    },
    // Without a time: the clock of a Worker stands still while it computes.
    observe: { observer },
  });
}

/** Set by Cloudflare, whatever the caller sends. */
function identify(context: Context): string {
  return context.req.header('cf-connecting-ip') ?? 'unknown';
}

function bindLimiter(binding: RateLimit): RateLimiter {
  return {
    async take(client) {
      const { success } = await binding.limit({ key: client });
      return { isAllowed: success, retryAfterSeconds: success ? 0 : RETRY_AFTER_SECONDS };
    },
  };
}

/** Columns of the data set: index1 route; blob1 method, blob2 route, blob3 status, blob4 problem, blob5 model. */
function toDataPoint(request: AnsweredRequest): AnalyticsEngineDataPoint {
  const { method, route, status, code, modelId } = request;
  return { indexes: [route], blobs: [method, route, String(status), code ?? null, modelId ?? null] };
}

function readAssets(assets: Fetcher, folder = ''): AssetSource {
  async function open(path: string): Promise<Response | undefined> {
    // Only the path counts; a host is needed to make it a URL.
    const response = await assets.fetch(`https://assets.local/${folder}${path}`);
    if (response.ok) return response;
    await response.body?.cancel();
    return undefined;
  }
  return {
    async read(path) {
      const response = await open(path);
      return response && new Uint8Array(await response.arrayBuffer());
    },
    async readInto(path, buffer) {
      const response = await open(path);
      if (response === undefined) return undefined;
      return response.body === null ? new Uint8Array() : readInto(response.body, buffer);
    },
  };
}

/** The platform gives the files the headers of web/public/_headers, and answers 304. */
function servePage(assets: Fetcher): PageFiles {
  return {
    async answer({ url, method, headers }) {
      const file = new URL(url);
      if (file.pathname === '/') file.pathname = PAGE_PATH;
      const response = await assets.fetch(new Request(file, { method, headers }));
      // Its own headers are not to be changed, and the app adds some.
      if (response.ok || response.status === 304) return new Response(response.body, response);
      await response.body?.cancel();
      return undefined;
    },
  };
}
