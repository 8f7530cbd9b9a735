/** The guard contract inside workerd, with the shipped model. */
import { createExecutionContext } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { createWorkerApp } from '../../serve/worker-app.ts';
import type { Send } from './api-client.ts';
import { describeGuard, type GuardSettings } from './guard.ts';

/** Two Workers of one isolate share its engine; a third model would be one too many. */
const apps = new Map<string, Send>();

function startWith(settings: GuardSettings): Send {
  const app = createWorkerApp({ ...env, ...settings } as Parameters<typeof createWorkerApp>[0]);
  return async (path, init) =>
    app.fetch(new Request(`https://worker.test${path}`, init), env, createExecutionContext());
}

describeGuard('workerd', (settings) => {
  const key = JSON.stringify(settings);
  const known = apps.get(key) ?? startWith(settings);
  apps.set(key, known);
  return Promise.resolve(known);
});
