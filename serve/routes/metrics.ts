/** GET /metrics: what the server counts, for Prometheus. */
import { createRoute, z, type RouteHandler } from '@hono/zod-openapi';
import { ProductError } from '../../shared/errors.ts';
import { curl, NO_QUERY, problemAnswers } from '../description/openapi.ts';
import { PROMETHEUS_MEDIA_TYPE } from '../observation/prometheus.ts';
import type { Services } from '../services.ts';

export const metricsRoute = createRoute({
  method: 'get',
  path: '/metrics',
  operationId: 'readMetrics',
  summary: 'What the server counts',
  description:
    'In the text format of Prometheus: requests by route and status, inference, pictures that were refused, the model, the process. Only of a server on Node, unless its operator has switched it off: on Workers no process sees all requests.',
  ...curl('curl HOST/metrics'),
  request: { query: NO_QUERY },
  responses: {
    200: { description: 'The metrics.', content: { 'text/plain': { schema: z.string() } } },
    ...problemAnswers(['request/invalid', 'server/no-metrics']),
  },
});

export function readMetrics({ writeMetrics }: Services): RouteHandler<typeof metricsRoute> {
  return async (context) => {
    if (writeMetrics === undefined) {
      throw new ProductError(
        'server/no-metrics',
        'this server shows no metrics: it runs on Workers, or its operator has switched them off',
      );
    }
    return context.text(await writeMetrics(), 200, {
      'content-type': PROMETHEUS_MEDIA_TYPE,
      'cache-control': 'no-store',
    });
  };
}
