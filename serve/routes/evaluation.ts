/** What was measured of the models: the evaluation of one, and two of them compared image by image. */
import { createRoute, z, type RouteHandler } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { modelComparisonSchema, modelEvaluationSchema } from '../../shared/evaluation-api.ts';
import {
  answerComparison,
  answerEvaluation,
  missingEvaluation,
  type MeasuredModel,
} from '../answer/evaluation-answer.ts';
import { cacheRule, isNotModified, makeEtag } from '../http-cache.ts';
import { onlyFields } from '../request/invalid-request.ts';
import { CHOICE_FIELDS, CHOICE_PROBLEMS } from '../request/model-choice.ts';
import type { FoundModel } from '../model-pool/model-pool.ts';
import { curl, jsonAnswer, MODEL_PROBLEMS, NO_QUERY, problemAnswers } from '../description/openapi.ts';
import { findModel, type Services } from '../services.ts';
import { modelName } from './models.ts';

const CONTENTS =
  'Accuracy with its interval, precision, recall and F1 of each class, the confusion matrix with the images of its wrong cells, calibration before and after the temperature, the risk over the coverage, robustness under our own seeded corruptions (not CIFAR-10-C), how far the runtimes differ, and where all that was measured. Intervals are Wilson’s at 95 %. `missing` lists what was not measured.';
const NOT_MODIFIED = { description: 'The caller has it already (If-None-Match).' };
const EVALUATION_PROBLEMS = problemAnswers([
  'request/invalid',
  ...CHOICE_PROBLEMS,
  'evaluation/missing',
  ...MODEL_PROBLEMS,
]);

export const readChampionEvaluationRoute = createRoute({
  method: 'get',
  path: '/evaluation',
  operationId: 'readChampionEvaluation',
  summary: 'Read how good the champion is',
  description: `The recorded evaluation on the test set. ${CONTENTS}`,
  ...curl('curl HOST/evaluation'),
  request: { query: onlyFields({ channel: CHOICE_FIELDS.channel }) },
  responses: { 200: jsonAnswer('The evaluation.', modelEvaluationSchema), 304: NOT_MODIFIED, ...EVALUATION_PROBLEMS },
});

export const readModelEvaluationRoute = createRoute({
  method: 'get',
  path: '/models/{id}/evaluation',
  operationId: 'readModelEvaluation',
  summary: 'Read how good a model is',
  description: `The same of any model. ${CONTENTS}`,
  ...curl('curl HOST/models/shipped/evaluation'),
  request: { query: NO_QUERY, params: z.strictObject({ id: modelName }) },
  responses: { 200: jsonAnswer('The evaluation.', modelEvaluationSchema), 304: NOT_MODIFIED, ...EVALUATION_PROBLEMS },
});

export const compareModelsRoute = createRoute({
  method: 'get',
  path: '/models/{a}/compare/{b}',
  operationId: 'compareModels',
  summary: 'Compare two models image by image',
  description:
    'On the same test set: the exact McNemar test, the images that only one of them has right, the change of each class, and how often they agree. A small p says that the difference is more than chance; two accuracies alone do not.',
  ...curl('curl HOST/models/shipped/compare/champion'),
  request: { query: NO_QUERY, params: z.strictObject({ a: modelName, b: modelName }) },
  responses: {
    200: jsonAnswer('The comparison.', modelComparisonSchema),
    304: NOT_MODIFIED,
    ...problemAnswers([
      'request/invalid',
      ...CHOICE_PROBLEMS,
      'evaluation/missing',
      'evaluation/incomparable',
      ...MODEL_PROBLEMS,
    ]),
  },
});

export function readChampionEvaluation(services: Services): RouteHandler<typeof readChampionEvaluationRoute> {
  return async (context) => {
    const found = await findModel(services, context, context.req.valid('query'));
    const { measured, version } = await readMeasured(services, found);
    if (await isKnown(context, [version])) return context.body(null, 304);
    return context.json(answerEvaluation(measured), 200);
  };
}

export function readModelEvaluation(services: Services): RouteHandler<typeof readModelEvaluationRoute> {
  return async (context) => {
    const found = await findModel(services, context, { model: context.req.valid('param').id });
    const { measured, version } = await readMeasured(services, found);
    if (await isKnown(context, [version])) return context.body(null, 304);
    return context.json(answerEvaluation(measured), 200);
  };
}

export function compareModels(services: Services): RouteHandler<typeof compareModelsRoute> {
  return async (context) => {
    const { a, b } = context.req.valid('param');
    // Neither of them answers, so no header names one.
    const find = (model: string) => services.models.find({ model }, (work) => services.keepAlive(context, work));
    const [first, second] = await Promise.all([
      find(a).then((found) => readMeasured(services, found)),
      find(b).then((found) => readMeasured(services, found)),
    ]);
    if (await isKnown(context, ['comparison', first.version, second.version])) return context.body(null, 304);
    return context.json(answerComparison(first.measured, second.measured), 200);
  };
}

/** `version` names the content of the evaluation. Errors: 'evaluation/missing'. */
async function readMeasured(
  { models: { catalogue } }: Services,
  { modelId }: FoundModel,
): Promise<{ measured: MeasuredModel; version: string }> {
  const stored = await catalogue.readEvaluation(modelId);
  if (stored === undefined) throw missingEvaluation(modelId);
  const manifest = await catalogue.readManifest(modelId);
  return { measured: { manifest, evaluation: stored.evaluation }, version: stored.sha256 };
}

/** Also of a model by its whole id: it can be measured again. */
async function isKnown(context: Context, versions: readonly string[]): Promise<boolean> {
  const etag = await makeEtag(versions);
  context.header('etag', etag);
  context.header('cache-control', cacheRule({ isPinned: false, isPrivate: false }));
  return isNotModified(context, etag);
}
