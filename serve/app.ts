/**
 * The server without a platform: all routes, and what holds for all of them (errors as problems, CORS, safe headers).
 * `node.ts` and `worker.ts` bring the files, the WebAssembly modules and the socket.
 */
import { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import { ACTIVATION_HEADERS } from './activation-answer.ts';
import { MODEL_ID_HEADER, MODEL_MODE_HEADER, MODEL_SEQ_HEADER } from '../shared/api.ts';
import { ProductError } from '../shared/errors.ts';
import { listAllowedMethods } from './allowed-methods.ts';
import { invalidRequest, refuseRepeated } from './invalid-request.ts';
import { registerComponents } from './openapi.ts';
import { HEADER_LENGTH } from './oip/inference-response.ts';
import { answerOipError, isOipPath } from './oip/oip-error.ts';
import { findFile } from './page-files.ts';
import { isWorthLogging, problemHeaders, toProblem } from './problem.ts';
import * as activations from './routes/activations.ts';
import * as classify from './routes/classify.ts';
import * as evaluate from './routes/evaluate.ts';
import * as docs from './routes/docs.ts';
import * as evaluation from './routes/evaluation.ts';
import * as explain from './routes/explain.ts';
import * as health from './routes/health.ts';
import * as models from './routes/models.ts';
import { registerOip } from './routes/oip.ts';
import * as samples from './routes/samples.ts';
import { giveBackModels, type Services } from './services.ts';

export function createApp(services: Services): OpenAPIHono {
  const app = new OpenAPIHono({
    defaultHook: (result, context) => {
      if (result.success) return;
      if (result.target === 'query') refuseRepeated(context.req.queries());
      throw invalidRequest(`the ${result.target}`, result.error);
    },
  });
  app.use(allowEveryOrigin, forbidSniffing, giveBackModels);

  app.openapi(classify.classifyRoute, classify.classify(services));
  app.openapi(classify.classifyJsonRoute, classify.classifyJson(services));
  app.openapi(activations.listLayersRoute, activations.listLayers(services));
  app.openapi(activations.readActivationRoute, activations.readActivation(services));
  app.openapi(activations.computeActivationRoute, activations.computeActivation(services));
  app.openapi(explain.readExplanationRoute, explain.readExplanation(services));
  app.openapi(explain.computeExplanationRoute, explain.computeExplanation(services));
  app.openapi(models.listModelsRoute, models.listModels(services));
  app.openapi(models.readHistoryRoute, models.readHistory(services));
  app.openapi(models.readModelRoute, models.readModel(services));
  app.openapi(evaluation.readChampionEvaluationRoute, evaluation.readChampionEvaluation(services));
  app.openapi(evaluation.readModelEvaluationRoute, evaluation.readModelEvaluation(services));
  app.openapi(evaluate.evaluateRoute, evaluate.evaluate(services));
  app.openapi(evaluation.compareModelsRoute, evaluation.compareModels(services));
  app.openapi(samples.listSamplesRoute, samples.listSamples(services));
  app.openapi(health.livenessRoute, health.checkLiveness());
  app.openapi(health.readinessRoute, health.checkReadiness(services));
  registerOip(app, services);
  registerComponents(app);
  app.get('/openapi.json', docs.readOpenApi(app));
  app.get('/docs', docs.readDocs(app));

  app.notFound(async (context) => {
    const { path, method, raw } = context.req;
    let allowed = listAllowedMethods(app.routes, path);
    if (allowed.length === 0) {
      const file = await findFile(services.page, raw);
      if (file instanceof Response) return file;
      allowed = file;
    }
    if (allowed.length === 0) {
      return answerProblem(
        context,
        new ProductError('route/unknown', `there is nothing at ${path}; /docs lists the routes`),
      );
    }
    context.header('allow', allowed.join(', '));
    if (method === 'OPTIONS') return answerPreflight(context);
    return answerProblem(
      context,
      new ProductError('route/method', `${path} does not have the method ${method}; it has ${allowed.join(', ')}`, {
        details: { allowed },
      }),
    );
  });
  app.onError((error, context) => {
    if (isWorthLogging(error)) services.reportError(error);
    return answerProblem(context, error);
  });
  return app;
}

function answerProblem(context: Context, error: unknown): Response {
  if (isOipPath(context.req.path)) return answerOipError(context, error);
  const problem = toProblem(error);
  // It names the answer that there would have been.
  context.header('etag', undefined);
  return context.body(JSON.stringify(problem), problem.status, problemHeaders(problem));
}

/** Any page may use the API: it has no cookies and no secrets. */
const allowEveryOrigin = createMiddleware(async (context, next) => {
  await next();
  context.header('access-control-allow-origin', '*');
  context.header('access-control-expose-headers', EXPOSED_HEADERS.join(','));
});

const EXPOSED_HEADERS = [
  MODEL_ID_HEADER,
  MODEL_SEQ_HEADER,
  MODEL_MODE_HEADER,
  'etag',
  'allow',
  'retry-after',
  HEADER_LENGTH,
  ...ACTIVATION_HEADERS,
  ...explain.EXPLANATION_HEADERS,
];

/** What a browser asks before it lets a page send a request that no form could send. */
function answerPreflight(context: Context): Response {
  return context.body(null, 204, {
    'access-control-allow-methods': 'GET,HEAD,POST',
    'access-control-allow-headers': `content-type,if-none-match,${HEADER_LENGTH}`,
    'access-control-max-age': '86400',
  });
}

const forbidSniffing = createMiddleware(async (context, next) => {
  await next();
  context.header('x-content-type-options', 'nosniff');
});
