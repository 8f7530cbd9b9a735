/**
 * The server without a platform: all routes, and what holds for all of them (ids, errors as problems, CORS, safe headers, limits).
 * `node.ts` and `worker.ts` bring the files, the WebAssembly modules and the socket.
 */
import { OpenAPIHono } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import { requestId } from 'hono/request-id';
import { ACTIVATION_HEADERS } from './answer/activation-answer.ts';
import { MODEL_ID_HEADER, MODEL_MODE_HEADER, MODEL_SEQ_HEADER, REQUEST_ID_HEADER } from '../shared/api.ts';
import { ProductError } from '../shared/errors.ts';
import { listAllowedMethods } from './allowed-methods.ts';
import { requireKey } from './access/api-keys.ts';
import { allowOrigins, answerPreflight } from './access/cors.ts';
import { invalidRequest, refuseRepeated } from './request/invalid-request.ts';
import { HEADER_LENGTH } from './oip/inference-response.ts';
import { answerOipError, isOipPath } from './oip/oip-error.ts';
import { observeRequests } from './observation/observer.ts';
import { findFile } from './page-files.ts';
import { isWorthLogging, problemHeaders, toProblem } from './problem.ts';
import { LIMITED_ROUTES, limitRate } from './access/rate-limit.ts';
import { limitUrl } from './request/request-url.ts';
import * as activations from './routes/activations.ts';
import * as classify from './routes/classify.ts';
import * as evaluate from './routes/evaluate.ts';
import * as docs from './routes/docs.ts';
import * as evaluation from './routes/evaluation.ts';
import * as explain from './routes/explain.ts';
import * as health from './routes/health.ts';
import * as metrics from './routes/metrics.ts';
import * as models from './routes/models.ts';
import { registerOip } from './routes/oip.ts';
import * as samples from './routes/samples.ts';
import { giveBackModels, type Services } from './services.ts';
import { DEFAULT_UPLOAD_WAIT_MS, limitUploadWait } from './request/upload-wait.ts';

export function createApp(services: Services): OpenAPIHono {
  const app = new OpenAPIHono({
    defaultHook: (result, context) => {
      if (result.success) return;
      if (result.target === 'query') refuseRepeated(context.req.queries());
      throw invalidRequest(`the ${result.target}`, result.error);
    },
  });
  const { access = {}, observe, uploadWaitMs = DEFAULT_UPLOAD_WAIT_MS } = services;
  const { origins = '*', keys = [], rate } = access;
  app.use(requestId({ headerName: REQUEST_ID_HEADER, limitLength: LONGEST_REQUEST_ID }));
  if (observe !== undefined) app.use(observeRequests(observe));
  app.use(allowOrigins(origins, EXPOSED_HEADERS), setSafeHeaders, limitUrl, limitUploadWait(uploadWaitMs));
  app.use(giveBackModels);
  app.use('/evaluate', requireKey(keys));
  if (rate !== undefined) LIMITED_ROUTES.forEach((route) => app.use(route, limitRate(rate)));

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
  app.openapi(metrics.metricsRoute, metrics.readMetrics(services));
  registerOip(app, services);
  const readDocument = docs.createApiDocument(app);
  app.get('/openapi.json', docs.readOpenApi(readDocument));
  app.get('/docs', docs.readDocs(readDocument));

  app.notFound(async (context) => {
    const { path, method, raw } = context.req;
    let allowed = listAllowedMethods(app.routes, path);
    if (allowed.length === 0) {
      const file = await findFile(services.page, raw);
      if (file instanceof Response) {
        context.set('isFile', true);
        return file;
      }
      allowed = file;
    }
    if (allowed.length === 0) {
      return answerProblem(
        context,
        new ProductError('route/unknown', `there is nothing at ${path}; /docs lists the routes`),
      );
    }
    context.header('allow', allowed.join(', '));
    if (method === 'OPTIONS') return answerPreflight(context, origins, REQUEST_HEADERS);
    return answerProblem(
      context,
      new ProductError('route/method', `${path} does not have the method ${method}; it has ${allowed.join(', ')}`, {
        details: { allowed },
      }),
    );
  });
  app.onError((error, context) => {
    if (isWorthLogging(error)) services.reportError(error, context.get('requestId'));
    return answerProblem(context, error);
  });
  return app;
}

function answerProblem(context: Context, error: unknown): Response {
  const problem = toProblem(error, context.get('requestId'));
  context.set('problemCode', problem.code);
  if (isOipPath(context.req.path)) return answerOipError(context, problem);
  // It names the answer that there would have been.
  context.header('etag', undefined);
  return context.body(JSON.stringify(problem), problem.status, problemHeaders(problem));
}

/** What the caller sends to name its request; a longer one is not taken. */
const LONGEST_REQUEST_ID = 128;

/** Pages of other origins may read them. */
const EXPOSED_HEADERS = [
  REQUEST_ID_HEADER,
  MODEL_ID_HEADER,
  MODEL_SEQ_HEADER,
  MODEL_MODE_HEADER,
  'etag',
  'allow',
  'retry-after',
  'ratelimit',
  'ratelimit-policy',
  'www-authenticate',
  HEADER_LENGTH,
  ...ACTIVATION_HEADERS,
  ...explain.EXPLANATION_HEADERS,
];

/** Pages of other origins may send them. */
const REQUEST_HEADERS = ['content-type', 'if-none-match', 'authorization', REQUEST_ID_HEADER, HEADER_LENGTH];

/** Nothing of the API is a page: a browser that is made to show an answer loads and runs nothing of it. */
const NO_PAGE = "default-src 'none'; frame-ancestors 'none'";

const setSafeHeaders = createMiddleware(async (context, next) => {
  await next();
  const { headers } = context.res;
  // A file comes with headers of its own only.
  headers.set(REQUEST_ID_HEADER, context.get('requestId'));
  headers.set('x-content-type-options', 'nosniff');
  // A URL can hold a picture.
  headers.set('referrer-policy', 'no-referrer');
  if (!headers.has('content-security-policy')) headers.set('content-security-policy', NO_PAGE);
});
