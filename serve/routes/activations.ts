/** The inside of the network: its layers, and what one layer puts out for a picture. */
import { createRoute, z, type RouteHandler } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { activationSchema, layerListSchema, type Activation, type LayerDescription } from '../../shared/api.ts';
import { ProductError } from '../../shared/errors.ts';
import { encodePng } from '../../shared/image/png-encode.ts';
import type { LayerEntry } from '../../shared/manifest.ts';
import { findLayer } from '../../shared/resnet.ts';
import { describeChannels, drawChannels, SCALES, type Scale } from '../activation-view.ts';
import { toDecimal } from '../decimal.ts';
import { isNotModified, makeEtag } from '../http-cache.ts';
import { onlyFields } from '../invalid-request.ts';
import { CHOICE_FIELDS, CHOICE_PROBLEMS } from '../model-choice.ts';
import { preferredFormat, type ActivationFormat } from '../media-type.ts';
import { preparePicture, prepareToken, type ModelInput } from '../model-input.ts';
import type { TakenModel } from '../model-pool/model-pool.ts';
import { BINARY, curl, jsonAnswer, MODEL_PROBLEMS, PICTURE_PROBLEMS, problemAnswers, refer } from '../openapi.ts';
import { isMultipart, readFile, readFiles, readRawBody } from '../request-body.ts';
import { takeModel, type Services } from '../services.ts';

const listQuery = onlyFields(CHOICE_FIELDS);

const viewQuery = onlyFields({
  ...CHOICE_FIELDS,
  format: z
    .enum(['json', 'png'])
    .optional()
    .openapi({ param: { description: 'Statistics or a picture; decides over the Accept header. Default json.' } }),
  values: z
    .enum(['true', 'false'])
    .optional()
    .openapi({ param: { description: 'JSON only: also list every value, row-major in the order of the shape.' } }),
  scale: z
    .enum(SCALES)
    .optional()
    .openapi({
      param: {
        description:
          'PNG only: whether black and white are the least and greatest value of the whole layer (default), or of each channel.',
      },
    }),
});

const inputQuery = viewQuery.extend({
  input: z
    .string()
    .optional()
    .openapi({ param: { description: 'The token of a picture, from /classify.' } }),
  sample: z
    .string()
    .optional()
    .openapi({
      param: { description: 'The name of a sample, from /samples. Without input and sample: the default one.' },
    }),
});

const params = z.strictObject({
  layer: z.string().openapi({ param: { description: 'A name from /activations.' }, example: 'layer3' }),
});

/** Headers of the picture that say what it shows. */
const PNG_HEADERS = { min: 'x-activation-min', max: 'x-activation-max', columns: 'x-activation-columns' } as const;
export const ACTIVATION_HEADERS: readonly string[] = Object.values(PNG_HEADERS);

const VIEW_ANSWER = {
  description: `JSON: statistics of each channel. PNG: all channels in a grid, left to right and top to bottom, one pixel apart, in grey from ${PNG_HEADERS.min} (black) to ${PNG_HEADERS.max} (white), ${PNG_HEADERS.columns} per row; a layer of features is one strip.`,
  content: {
    'application/json': { schema: refer(activationSchema) },
    'image/png': { schema: BINARY },
  },
} as const;

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
  description: 'What a layer puts out for a picture that was classified before, or for a sample.',
  ...curl('curl HOST/activations/layer3\ncurl -o layer3.png "HOST/activations/layer3?sample=cat-ginger&format=png"'),
  request: { params, query: inputQuery },
  responses: {
    200: VIEW_ANSWER,
    304: { description: 'The caller has this answer already (If-None-Match).' },
    ...problemAnswers([
      'request/invalid',
      'layer/unknown',
      'token/invalid',
      'sample/unknown',
      ...CHOICE_PROBLEMS,
      ...MODEL_PROBLEMS,
    ]),
  },
});

export const computeActivationRoute = createRoute({
  method: 'post',
  path: '/activations/{layer}',
  operationId: 'computeActivation',
  summary: 'Look into a layer for an uploaded picture',
  description: 'The same for a picture in the body, as it is or as the one file of multipart/form-data.',
  ...curl('curl --data-binary @car.jpg HOST/activations/layer3'),
  request: {
    params,
    query: viewQuery,
    body: { required: true, content: { 'application/octet-stream': { schema: BINARY } } },
  },
  responses: {
    200: VIEW_ANSWER,
    ...problemAnswers(['request/invalid', 'layer/unknown', ...CHOICE_PROBLEMS, ...PICTURE_PROBLEMS, ...MODEL_PROBLEMS]),
  },
});

export function listLayers(services: Services): RouteHandler<typeof listLayersRoute> {
  return async (context) => {
    const { reference, manifest } = await takeModel(services, context, context.req.valid('query'));
    return context.json({ model: reference, layers: manifest.layers.map(toDescription) }, 200);
  };
}

export function readActivation(services: Services): RouteHandler<typeof readActivationRoute> {
  return async (context) => {
    const { input: token, sample, model: modelName, channel, ...query } = context.req.valid('query');
    if (token !== undefined && sample !== undefined) {
      throw new ProductError('request/invalid', 'got input and sample; one of them, or neither, is expected');
    }
    const options = resolveView(context, query);
    const model = await takeModel(services, context, { model: modelName, channel });
    const layer = findLayer(model.manifest.layers, context.req.valid('param').layer);
    const { input, name } =
      token === undefined
        ? await prepareSample(sample, { services, model })
        : { input: await prepareToken(token, model.manifest), name: undefined };

    const etag = await makeEtag([model.reference, input.sha256, name, layer.name, options]);
    context.header('etag', etag);
    context.header('vary', 'accept', { append: true });
    // A token is the caller's own picture, so no shared cache may keep what it shows.
    context.header('cache-control', token === undefined ? 'no-cache' : 'private, no-cache');
    if (isNotModified(context, etag)) return context.body(null, 304);
    return answerView(context, { model, layer, input, options, name: name ?? { sha256: input.sha256 } });
  };
}

export function computeActivation(services: Services): RouteHandler<typeof computeActivationRoute> {
  return async (context) => {
    const request = context.req.raw;
    const { model: modelName, channel, ...query } = context.req.valid('query');
    const options = resolveView(context, query);
    const bytes = isMultipart(request) ? await readOnlyFile(request) : await readRawBody(request);
    const model = await takeModel(services, context, { model: modelName, channel });
    const layer = findLayer(model.manifest.layers, context.req.valid('param').layer);
    const input = await preparePicture(bytes, { decoder: services.decoder, manifest: model.manifest });
    context.header('cache-control', 'no-store');
    return answerView(context, { model, layer, input, options, name: { sha256: input.sha256 } });
  };
}

interface ViewOptions {
  format: ActivationFormat;
  hasValues: boolean;
  scale: Scale;
}

/** Errors: 'request/invalid' for an option that the format does not have. */
function resolveView(context: Context, query: Omit<z.output<typeof viewQuery>, 'model' | 'channel'>): ViewOptions {
  const format = query.format ?? preferredFormat(context.req.header('accept'));
  if (format === 'png' && query.values === 'true') {
    throw new ProductError('request/invalid', 'a PNG has no values; ask for values with format=json');
  }
  if (format === 'json' && query.scale !== undefined) {
    throw new ProductError('request/invalid', 'scale is for pictures; ask for it with format=png');
  }
  return { format, hasValues: query.values === 'true', scale: query.scale ?? 'layer' };
}

async function prepareSample(
  name: string | undefined,
  { services: { samples, decoder }, model }: { services: Services; model: TakenModel },
): Promise<{ input: ModelInput; name: { sample: string; label: string } }> {
  const sample = await samples.read(name);
  const input = await preparePicture(sample.bytes, { decoder, manifest: model.manifest });
  return { input, name: { sample: sample.name, label: sample.label } };
}

async function readOnlyFile(request: Request): Promise<Uint8Array<ArrayBuffer>> {
  const [file] = await readFiles(request, { maxFiles: 1 });
  if (file === undefined) throw new Error('internal: a form without files was accepted');
  return readFile(file);
}

interface View {
  model: TakenModel;
  layer: LayerEntry;
  input: ModelInput;
  options: ViewOptions;
  /** How the answer names the picture. */
  name: Activation['input'];
}

async function answerView(context: Context, { model, layer, input, options, name }: View) {
  const { shape } = layer;
  const values = model.classifier.activate(input.pixels, layer);
  if (options.format === 'png') {
    const picture = drawChannels({ shape, values }, options.scale);
    context.header(PNG_HEADERS.min, String(picture.min));
    context.header(PNG_HEADERS.max, String(picture.max));
    context.header(PNG_HEADERS.columns, String(picture.columns));
    return context.body(await encodePng(picture), 200, { 'content-type': 'image/png' });
  }
  const activation: Activation = {
    model: model.reference,
    layer: toDescription(layer),
    input: name,
    channels: describeChannels({ shape, values }),
    ...(options.hasValues ? { values: Array.from(values, toDecimal) } : {}),
  };
  return context.json(activation, 200);
}

function toDescription({ name, kind, shape, parameters }: LayerEntry): LayerDescription {
  return { name, kind, shape, parameters };
}
