/** GET /samples: the pictures to try, with their true labels. */
import { createRoute, type RouteHandler } from '@hono/zod-openapi';
import { sampleListSchema } from '../../shared/api.ts';
import { curl, jsonAnswer, NO_QUERY, problemAnswers } from '../description/openapi.ts';
import type { Services } from '../services.ts';

export const listSamplesRoute = createRoute({
  method: 'get',
  path: '/samples',
  operationId: 'listSamples',
  summary: 'List the samples',
  description: 'Pictures of the test set to try, one for each class, with their true labels. None was trained on.',
  ...curl('curl HOST/samples'),
  request: { query: NO_QUERY },
  responses: { 200: jsonAnswer('The samples.', sampleListSchema), ...problemAnswers(['request/invalid', 'internal']) },
});

export function listSamples({ samples }: Services): RouteHandler<typeof listSamplesRoute> {
  return async (context) => context.json(await samples.list(), 200);
}
