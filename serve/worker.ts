/**
 * The server on Cloudflare Workers: the shipped models, samples and the page are its static assets, the model store is an
 * R2 bucket.
 */
import jpeg from '@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm';
import webp from '@jsquash/webp/codec/dec/webp_dec.wasm';
import type { OpenAPIHono } from '@hono/zod-openapi';
import { chooseVariant } from '../shared/engine/kernel-module.ts';
import { MODEL_BUDGET_BYTES } from '../shared/engine/memory-budget.ts';
import relaxed from '../shared/engine/wasm/edge-relaxed.wasm';
import simd from '../shared/engine/wasm/edge-simd.wasm';
import { createImageDecoder } from '../shared/image/decode.ts';
import { createApp } from './app.ts';
import type { AssetSource } from './asset-source.ts';
import { createClassifier, runHere } from './classifier.ts';
import { loadFiles } from './model-loader.ts';
import { createModelPool } from './model-pool/model-pool.ts';
import { openModel } from './model-pool/open-model.ts';
import { PAGE_PATH, type PageFiles } from './page-files.ts';
import { parsePointerTtl } from './pointer-ttl.ts';
import { createSampleShelf } from './samples.ts';
import { parseEdgeMode, startEngine, type EngineBuild } from './served-engine.ts';
import { readBucket } from './store/r2-source.ts';

/** Where the build puts serve/models. */
const SHIPPED_FOLDER = 'models/';

/** About 10 s of the 30 s of processor time that a request has, and little of the memory. */
const EVALUATION_LIMITS = { images: 200, bytes: 8 * 1024 * 1024, running: 1 };

/** A Worker compiles nothing at run time, so every build that it may choose is part of it. */
const BUILD: EngineBuild =
  chooseVariant() === 'simd' ? { variant: 'simd', module: simd } : { variant: 'relaxed', module: relaxed };

/** One per isolate; it lives as long as the isolate, and its bindings with it. */
let app: OpenAPIHono | undefined;

export default {
  fetch(request, env, context) {
    app ??= createWorkerApp(env);
    return app.fetch(request, env, context);
  },
} satisfies ExportedHandler<Env>;

function createWorkerApp({ ASSETS: assets, MODELS, POINTER_TTL_MS, EDGE_MODE }: Env): OpenAPIHono {
  const mode = parseEdgeMode(EDGE_MODE);
  const reportError = (error: unknown): void => console.error(error);
  const decoder = createImageDecoder({ jpeg, webp });
  return createApp({
    models: createModelPool({
      shipped: readAssets(assets, SHIPPED_FOLDER),
      store: readBucket(MODELS),
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
  });
}

function readAssets(assets: Fetcher, folder = ''): AssetSource {
  return {
    async read(path) {
      // Only the path counts; a host is needed to make it a URL.
      const response = await assets.fetch(`https://assets.local/${folder}${path}`);
      if (response.ok) return new Uint8Array(await response.arrayBuffer());
      await response.body?.cancel();
      return undefined;
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
      if (response.ok || response.status === 304) return response;
      await response.body?.cancel();
      return undefined;
    },
  };
}
