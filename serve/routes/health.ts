/** Whether the process lives, and whether it can answer. */
import { createRoute, type RouteHandler } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { healthSchema, readinessSchema } from '../../shared/api.ts';
import { ProductError } from '../../shared/errors.ts';
import { curl, jsonAnswer, NO_QUERY, problemAnswers } from '../description/openapi.ts';
import type { Classifier } from '../inference/classifier.ts';
import { takeModel, type Services } from '../services.ts';

export const livenessRoute = createRoute({
  method: 'get',
  path: '/healthz',
  operationId: 'checkLiveness',
  summary: 'Does the server live?',
  description: 'Answers as long as the process does; needs no model.',
  ...curl('curl HOST/healthz'),
  request: { query: NO_QUERY },
  responses: { 200: jsonAnswer('It does.', healthSchema), ...problemAnswers(['request/invalid']) },
});

export const readinessRoute = createRoute({
  method: 'get',
  path: '/readyz',
  operationId: 'checkReadiness',
  summary: 'Can the server answer?',
  description: 'Answers 503 until the model is loaded, and begins to load it where that has not begun.',
  ...curl('curl HOST/readyz'),
  request: { query: NO_QUERY },
  responses: {
    200: jsonAnswer('It can.', readinessSchema),
    ...problemAnswers(['request/invalid', 'server/not-ready']),
  },
});

export function checkLiveness(): RouteHandler<typeof livenessRoute> {
  return (context) => context.json({ status: 'ok' as const }, 200);
}

export function checkReadiness(services: Services): RouteHandler<typeof readinessRoute> {
  return async (context) => {
    requireReady(services, context);
    const { manifest, classifier } = await takeModel(services, context);
    requireThread(classifier);
    return context.json({ status: 'ok' as const, model: manifest.modelId }, 200);
  };
}

/** Errors: 'server/not-ready' while nobody has the model who could answer. */
export function requireThread(classifier: Classifier): void {
  if (classifier.isReady()) return;
  throw new ProductError(
    'server/not-ready',
    'the threads with the model were lost and it is being loaded again; ask again in a moment; the operator finds the reason in the log',
  );
}

/** Begins to load the champion where that has not begun. Errors: 'server/not-ready' until it is loaded. */
export function requireReady(services: Services, context: Context): void {
  if (services.models.isReady) return;
  // Not waited for: who asks wants to know now.
  services.models.prepare((work) => services.keepAlive(context, work)).catch(services.reportError);
  throw new ProductError('server/not-ready', 'the model is being loaded; ask again in a moment');
}
