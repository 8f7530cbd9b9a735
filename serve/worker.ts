/** The server on Cloudflare Workers. */
import { env } from 'cloudflare:workers';
import { createWorkerApp } from './worker-app.ts';

/**
 * One per isolate; it lives as long as the isolate, and its bindings with it. Made when the isolate starts, before its
 * first request is there.
 */
const app = createWorkerApp(env);

export default {
  fetch: (request, bindings, context) => app.fetch(request, bindings, context),
} satisfies ExportedHandler<Env>;
