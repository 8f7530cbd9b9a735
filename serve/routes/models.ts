/** Which models answer and answered, and the manifest of one. */
import { createRoute, z, type RouteHandler } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { modelDetailSchema, modelHistorySchema, modelListSchema } from '../../shared/api.ts';
import type { ModelManifest } from '../../shared/manifest.ts';
import { onlyFields } from '../request/invalid-request.ts';
import { CHOICE_FIELDS, CHOICE_PROBLEMS } from '../request/model-choice.ts';
import { LISTED_EVENTS, readHistory as readEvents } from '../model-pool/model-history.ts';
import type { Pointer } from '../model-pool/model-catalogue.ts';
import { ALIASES, listAliases, SHORTEST_PREFIX } from '../model-pool/model-names.ts';
import { curl, jsonAnswer, MODEL_PROBLEMS, NO_QUERY, problemAnswers } from '../description/openapi.ts';
import { findModel, type Services } from '../services.ts';

/** A model in a path. */
export const modelName = z.string().openapi({
  param: {
    description: `An id, its first ${SHORTEST_PREFIX} or more digits, or an alias: ${ALIASES.join(', ')}, or a channel.`,
  },
  example: 'champion',
});

const channelQuery = onlyFields({ channel: CHOICE_FIELDS.channel });

export const listModelsRoute = createRoute({
  method: 'get',
  path: '/models',
  operationId: 'listModels',
  summary: 'List the models',
  description:
    'The champion, which answers when no model is named, then those before it, newest first, and the one that the server is shipped with. Other models of the store answer too when they are asked for by id.',
  ...curl('curl HOST/models'),
  request: { query: channelQuery },
  responses: {
    200: jsonAnswer('The models.', modelListSchema),
    ...problemAnswers(['request/invalid', 'channel/unknown', ...MODEL_PROBLEMS]),
  },
});

export const readHistoryRoute = createRoute({
  method: 'get',
  path: '/models/history',
  operationId: 'readHistory',
  summary: 'Read which model answered when',
  description: `The last ${LISTED_EVENTS} changes of a channel. A server follows within seconds; x-model-seq of an answer is the seq of the change that it follows.`,
  ...curl('curl HOST/models/history'),
  request: { query: channelQuery },
  responses: {
    200: jsonAnswer('The changes.', modelHistorySchema),
    ...problemAnswers(['request/invalid', 'channel/unknown', ...MODEL_PROBLEMS]),
  },
});

export const readModelRoute = createRoute({
  method: 'get',
  path: '/models/{id}',
  operationId: 'readModel',
  summary: 'Read the manifest of a model',
  description: 'Architecture, class names, preprocessing, layers, file hashes and provenance.',
  ...curl('curl HOST/models/champion'),
  request: {
    query: NO_QUERY,
    params: z.strictObject({ id: modelName }),
  },
  responses: {
    200: jsonAnswer('The manifest.', modelDetailSchema),
    ...problemAnswers(['request/invalid', ...CHOICE_PROBLEMS, ...MODEL_PROBLEMS]),
  },
});

export function listModels(services: Services): RouteHandler<typeof listModelsRoute> {
  return async (context) => {
    const { catalogue } = services.models;
    const pointer = await findPointer(services, context, context.req.valid('query').channel);
    const shippedId = await catalogue.readShippedId();
    const past = (await readEvents(catalogue, pointer)).map(({ champion }) => champion);
    const ids = [...new Set([pointer.champion, ...pointer.previous, ...past, shippedId])];
    const manifests = await Promise.all(ids.map((modelId) => readIfThere(services, modelId)));
    const models = manifests.flatMap((manifest) => {
      if (manifest === undefined) return [];
      const { modelId: id, name, classNames, architecture } = manifest;
      return [{ id, name, aliases: listAliases(id, { pointer, shippedId }), classNames, architecture }];
    });
    return context.json({ models }, 200);
  };
}

export function readHistory(services: Services): RouteHandler<typeof readHistoryRoute> {
  return async (context) => {
    const pointer = await findPointer(services, context, context.req.valid('query').channel);
    const events = await readEvents(services.models.catalogue, pointer);
    return context.json({ channel: pointer.channel, events }, 200);
  };
}

export function readModel(services: Services): RouteHandler<typeof readModelRoute> {
  return async (context) => {
    const { modelId } = await findModel(services, context, { model: context.req.valid('param').id });
    return context.json(await services.models.catalogue.readManifest(modelId), 200);
  };
}

/** The pointer that the server follows now, which may be older than the store's. */
async function findPointer(services: Services, context: Context, channel: string | undefined): Promise<Pointer> {
  const { pointer } = await findModel(services, context, { channel });
  if (pointer === undefined) throw new Error('internal: a channel without a pointer');
  return pointer;
}

/** A model that was taken out of the store since it answered cannot be listed. */
async function readIfThere({ models }: Services, modelId: string): Promise<ModelManifest | undefined> {
  return (await models.catalogue.hasModel(modelId)) ? models.catalogue.readManifest(modelId) : undefined;
}
