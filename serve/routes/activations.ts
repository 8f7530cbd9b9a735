/** The inside of the network: its layers, and what one layer puts out for a picture. */
import { createRoute, z, type RouteHandler } from '@hono/zod-openapi';
import { layerListSchema } from '../../shared/api.ts';
import { findLayer } from '../../shared/resnet.ts';
import { answerView, resolveView, toDescription, VIEW_ANSWER, VIEW_FIELDS } from '../answer/activation-answer.ts';
import { CODE_SAMPLES } from '../description/code-samples.ts';
import { cacheRule, isNotModified, makeEtag } from '../http-cache.ts';
import { onlyFields } from '../request/invalid-request.ts';
import { CHOICE_FIELDS, CHOICE_PROBLEMS } from '../request/model-choice.ts';
import { checkInputChoice, INPUT_FIELDS, INPUT_PROBLEMS, prepareNamedInput } from '../request/named-input.ts';
import {
  BINARY,
  curl,
  jsonAnswer,
  MODEL_PROBLEMS,
  PICTURE_PROBLEMS,
  problemAnswers,
  RUN_PROBLEMS,
} from '../description/openapi.ts';
import { readOnePicture } from '../request/request-body.ts';
import { takeModel, type Services } from '../services.ts';

/** What can be wrong with what is asked of a layer. */
const VIEW_PROBLEMS = ['request/invalid', 'request/not-acceptable', 'layer/unknown'] as const;

const listQuery = onlyFields(CHOICE_FIELDS);

const viewQuery = onlyFields({ ...VIEW_FIELDS, ...CHOICE_FIELDS });

const inputQuery = viewQuery.extend(INPUT_FIELDS);

const params = z.strictObject({
  layer: z.string().openapi({ param: { description: 'A name from /activations.' }, example: 'layer3' }),
});

export const listLayersRoute = createRoute({
  method: 'get',
  path: '/activations',
  operationId: 'listLayers',
  summary: 'List the layers',
  description: 'Every layer that can be looked into, in the order of computation, with its output shape.',
  ...curl('curl HOST/activations'),
  request: { query: listQuery },
  responses: {
    200: jsonAnswer('The layers.', layerListSchema),
    ...problemAnswers(['request/invalid', ...CHOICE_PROBLEMS, ...MODEL_PROBLEMS]),
  },
});

export const readActivationRoute = createRoute({
  method: 'get',
  path: '/activations/{layer}',
  operationId: 'readActivation',
  summary: 'Look into a layer',
  description:
    'What a layer puts out for a picture that was classified before, or for a sample. An answer whose model is named by its whole id may be kept for ever; any other is to be asked for again with If-None-Match. With input it is for the caller’s own cache only.',
  ...curl(
    'curl HOST/activations/layer3\ncurl -o layer3.png "HOST/activations/layer3?sample=cat-ginger&format=png&scale=4"\ncurl -o layer3.npy "HOST/activations/layer3?format=npy&top=16"',
    CODE_SAMPLES.readActivation,
  ),
  request: { params, query: inputQuery },
  responses: {
    200: VIEW_ANSWER,
    304: { description: 'The caller has this answer already (If-None-Match).' },
    ...problemAnswers([...VIEW_PROBLEMS, ...INPUT_PROBLEMS, ...CHOICE_PROBLEMS, ...RUN_PROBLEMS]),
  },
});

export const computeActivationRoute = createRoute({
  method: 'post',
  path: '/activations/{layer}',
  operationId: 'computeActivation',
  summary: 'Look into a layer for an uploaded picture',
  description: 'The same for a picture in the body, as it is or as the one file of multipart/form-data.',
  ...curl('curl --data-binary @car.jpg HOST/activations/layer3', CODE_SAMPLES.computeActivation),
  request: {
    params,
    query: viewQuery,
    body: { required: true, content: { 'application/octet-stream': { schema: BINARY } } },
  },
  responses: {
    200: VIEW_ANSWER,
    ...problemAnswers([...VIEW_PROBLEMS, ...CHOICE_PROBLEMS, ...PICTURE_PROBLEMS, ...RUN_PROBLEMS]),
  },
});

export function listLayers(services: Services): RouteHandler<typeof listLayersRoute> {
  return async (context) => {
    const { reference, manifest, isPinned } = await takeModel(services, context, context.req.valid('query'));
    context.header('cache-control', cacheRule({ isPinned, isPrivate: false }));
    return context.json({ model: reference, layers: manifest.layers.map(toDescription) }, 200);
  };
}

export function readActivation(services: Services): RouteHandler<typeof readActivationRoute> {
  return async (context) => {
    const { input: token, sample, model: modelName, channel, ...query } = context.req.valid('query');
    checkInputChoice({ input: token, sample });
    const options = resolveView(context, query);
    const model = await takeModel(services, context, { model: modelName, channel });
    const layer = findLayer(model.manifest.layers, context.req.valid('param').layer);
    const { input, name } = await prepareNamedInput({ input: token, sample }, { services, model });

    const { computation } = model.classifier;
    const etag = await makeEtag([model.reference, computation, input.sha256, name, layer.name, options]);
    context.header('etag', etag);
    context.header('vary', 'accept', { append: true });
    context.header('cache-control', cacheRule({ isPinned: model.isPinned, isPrivate: token !== undefined }));
    if (isNotModified(context, etag)) return context.body(null, 304);
    return answerView(context, { model, layer, input, options, name });
  };
}

export function computeActivation(services: Services): RouteHandler<typeof computeActivationRoute> {
  return async (context) => {
    const { model: modelName, channel, ...query } = context.req.valid('query');
    const options = resolveView(context, query);
    const bytes = await readOnePicture(context.req.raw);
    const model = await takeModel(services, context, { model: modelName, channel });
    const layer = findLayer(model.manifest.layers, context.req.valid('param').layer);
    const input = await model.classifier.prepare(bytes);
    context.header('cache-control', 'no-store');
    return answerView(context, { model, layer, input, options, name: { sha256: input.sha256 } });
  };
}
