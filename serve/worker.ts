/** The server on Cloudflare Workers. */
import type { OpenAPIHono } from '@hono/zod-openapi';
import { createWorkerApp, type OptionalBindings } from './worker-app.ts';

/** One per isolate; it lives as long as the isolate, and its bindings with it. */
let app: OpenAPIHono | undefined;

export default {
  fetch(request, env, context) {
    app ??= createWorkerApp(env);
    return app.fetch(request, env, context);
  },
} satisfies ExportedHandler<Env & OptionalBindings>;
