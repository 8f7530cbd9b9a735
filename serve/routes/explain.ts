/** GET and POST /explain: where in a picture a class is seen, and which channels see it. */
import { createRoute, z, type RouteHandler } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { API_LIMITS, EXPLANATION_HEADERS as HEADERS, explanationSchema, occlusionSchema } from '../../shared/api.ts';
import { ProductError } from '../../shared/errors.ts';
import { encodePng } from '../../shared/image/png-encode.ts';
import { encodeInputToken } from '../../shared/image/token.ts';
import { CODE_SAMPLES } from '../description/code-samples.ts';
import { drawOverlay, LARGEST_OVERLAY_SCALE, SCALE_WORDS } from '../answer/explanation-view.ts';
import { explainByMap, explainByOcclusion, type Explained, type Question } from '../answer/explanation.ts';
import { cacheRule, isNotModified, makeEtag } from '../http-cache.ts';
import { onlyFields } from '../request/invalid-request.ts';
import {
  EXPLANATION_FORMATS,
  EXPLANATION_MEDIA_TYPES,
  negotiate,
  type ExplanationFormat,
} from '../request/media-type.ts';
import { CHOICE_FIELDS, CHOICE_PROBLEMS } from '../request/model-choice.ts';
import { checkInputChoice, INPUT_FIELDS, INPUT_PROBLEMS, prepareNamedInput } from '../request/named-input.ts';
import { BINARY, curl, RUN_PROBLEMS, PICTURE_PROBLEMS, problemAnswers, referToOneOf } from '../description/openapi.ts';
import { readOnePicture } from '../request/request-body.ts';
import { takeModel, type Services } from '../services.ts';

export const EXPLANATION_HEADERS: readonly string[] = Object.values(HEADERS);

const METHODS = ['cam', 'occlusion'] as const;

const wholeNumber = (pattern: RegExp, expected: string) =>
  z.string().regex(pattern, expected).transform(Number).optional();

const sideOf = (description: string) =>
  wholeNumber(/^[1-9]\d{0,3}$/, 'a whole number from 1 on is expected').openapi({
    type: 'integer',
    minimum: 1,
    param: { description },
  });

const EXPLAIN_FIELDS = {
  class: z
    .string()
    .optional()
    .openapi({ param: { description: 'Which class, by its name or its number. Default: the one that is answered.' } }),
  method: z
    .enum(METHODS)
    .optional()
    .openapi({
      param: {
        description:
          'cam (default): the class activation map, exact and out of one run. occlusion: what the logit loses when a patch of the picture is hidden.',
      },
    }),
  format: z
    .enum(EXPLANATION_FORMATS)
    .optional()
    .openapi({
      param: {
        description: `The form: ${EXPLANATION_FORMATS.map((format) => `${format} (${EXPLANATION_MEDIA_TYPES[format]})`).join(', ')}. Decides over the Accept header. Default json.`,
      },
    }),
  top: wholeNumber(/^[1-9]\d{0,5}$/, 'a whole number from 1 on is expected').openapi({
    type: 'integer',
    minimum: 1,
    maximum: API_LIMITS.topChannels,
    param: {
      description: `cam as JSON only: how many channels to list with their links, at most ${API_LIMITS.topChannels}. Default ${API_LIMITS.defaultTopChannels}.`,
    },
  }),
  scale: wholeNumber(/^([1-9]|1[0-6])$/, `a whole number from 1 to ${LARGEST_OVERLAY_SCALE} is expected`).openapi({
    type: 'integer',
    minimum: 1,
    maximum: LARGEST_OVERLAY_SCALE,
    param: { description: 'PNG only: pixels for each of the model’s input, along each side. Default 8.' },
  }),
  patch: sideOf('occlusion only: side of the hidden square in pixels of the model’s input. Default a quarter of it.'),
  stride: sideOf(
    `occlusion only: pixels from one place to the next, at most the patch. Default half of it. At most ${API_LIMITS.occlusionPatches} places.`,
  ),
  ...CHOICE_FIELDS,
};

const query = onlyFields(EXPLAIN_FIELDS);
const inputQuery = query.extend(INPUT_FIELDS);

const ANSWER = {
  description: [
    'JSON: the map, signed, with all that it is made of; of cam each channel’s contribution, which sum to the logit with the bias.',
    `PNG: the picture in grey under the map, which is interpolated between the centres of its cells. The colours diverge from zero: ${SCALE_WORDS}; ${HEADERS.limit} is the value of full red, its negative that of full blue, ${HEADERS.min} and ${HEADERS.max} are the map’s own, ${HEADERS.class} the number of the class, ${HEADERS.residual} (cam) and ${HEADERS.agreement} (occlusion) as in JSON.`,
  ].join(' '),
  content: {
    [EXPLANATION_MEDIA_TYPES.json]: { schema: referToOneOf(explanationSchema, occlusionSchema) },
    [EXPLANATION_MEDIA_TYPES.png]: { schema: BINARY },
  },
} as const;

const PROBLEMS = [
  'request/invalid',
  'request/not-acceptable',
  'class/unknown',
  'explain/unsupported',
  ...CHOICE_PROBLEMS,
  ...RUN_PROBLEMS,
] as const;

export const readExplanationRoute = createRoute({
  method: 'get',
  path: '/explain',
  operationId: 'readExplanation',
  summary: 'Explain an answer',
  description:
    'Where a class is seen in a picture that was classified before, or in a sample, and how much each channel of the last maps adds to its logit. It is kept by the rules of /activations/{layer}.',
  ...curl(
    'curl HOST/explain\ncurl -o cat.png "HOST/explain?sample=cat-ginger&class=cat&format=png"\ncurl "HOST/explain?sample=cat-ginger&method=occlusion&patch=8&stride=4"',
    CODE_SAMPLES.readExplanation,
  ),
  request: { query: inputQuery },
  responses: {
    200: ANSWER,
    304: { description: 'The caller has this answer already (If-None-Match).' },
    ...problemAnswers([...PROBLEMS, ...INPUT_PROBLEMS]),
  },
});

export const computeExplanationRoute = createRoute({
  method: 'post',
  path: '/explain',
  operationId: 'computeExplanation',
  summary: 'Explain the answer to an uploaded picture',
  description: 'The same for a picture in the body, as it is or as the one file of multipart/form-data.',
  ...curl('curl --data-binary @car.jpg HOST/explain'),
  request: {
    query,
    body: { required: true, content: { 'application/octet-stream': { schema: BINARY } } },
  },
  responses: { 200: ANSWER, ...problemAnswers([...PROBLEMS, ...PICTURE_PROBLEMS]) },
});

type Query = z.output<typeof query>;

interface ExplainOptions {
  method: (typeof METHODS)[number];
  format: ExplanationFormat;
  wantedClass: string | undefined;
  top: number | undefined;
  scale: number | undefined;
  patch: number | undefined;
  stride: number | undefined;
}

/** Errors: 'request/invalid' for an option that the method or the form does not have, 'request/not-acceptable'. */
function resolveOptions(context: Context, asked: Query): ExplainOptions {
  const { method = 'cam', class: wantedClass, top, scale, patch, stride } = asked;
  const format = asked.format ?? negotiate(context.req.header('accept'), EXPLANATION_MEDIA_TYPES);
  const misplaced = [
    { name: 'top', value: top, fits: method === 'cam' && format === 'json', home: 'method=cam with format=json' },
    { name: 'scale', value: scale, fits: format === 'png', home: 'format=png' },
    { name: 'patch', value: patch, fits: method === 'occlusion', home: 'method=occlusion' },
    { name: 'stride', value: stride, fits: method === 'occlusion', home: 'method=occlusion' },
  ].find(({ value, fits }) => value !== undefined && !fits);
  if (misplaced !== undefined) {
    throw new ProductError(
      'request/invalid',
      `got ${misplaced.name} with method=${method} and format=${format}; it is for ${misplaced.home}; leave it out`,
    );
  }
  if (top !== undefined && top > API_LIMITS.topChannels) {
    throw new ProductError(
      'request/invalid',
      `top is ${top}; at most ${API_LIMITS.topChannels} channels come with a link; the contributions of all are in every answer`,
    );
  }
  return { method, format, wantedClass, top, scale, patch, stride };
}

export function readExplanation(services: Services): RouteHandler<typeof readExplanationRoute> {
  return async (context) => {
    const { input: token, sample, ...asked } = context.req.valid('query');
    checkInputChoice({ input: token, sample });
    const options = resolveOptions(context, asked);
    const model = await takeModel(services, context, asked);
    const { input, name } = await prepareNamedInput({ input: token, sample }, { services, model });

    const { computation } = model.classifier;
    const etag = await makeEtag(['explain', model.reference, computation, input.sha256, name, options]);
    context.header('etag', etag);
    context.header('vary', 'accept', { append: true });
    context.header('cache-control', cacheRule({ isPinned: model.isPinned, isPrivate: token !== undefined }));
    if (isNotModified(context, etag)) return context.body(null, 304);
    const link = 'sample' in name ? `sample=${encodeURIComponent(name.sample)}` : `input=${token ?? ''}`;
    return answer(context, { question: { model, pixels: input.pixels, name }, options, link });
  };
}

export function computeExplanation(services: Services): RouteHandler<typeof computeExplanationRoute> {
  return async (context) => {
    const asked = context.req.valid('query');
    const options = resolveOptions(context, asked);
    const bytes = await readOnePicture(context.req.raw);
    const model = await takeModel(services, context, asked);
    const { pixels, sha256 } = await model.classifier.prepare(bytes);
    context.header('cache-control', 'no-store');
    const link = `input=${await encodeInputToken(pixels)}`;
    return answer(context, { question: { model, pixels, name: { sha256 } }, options, link });
  };
}

interface Asked {
  question: Omit<Question, 'wantedClass'>;
  options: ExplainOptions;
  /** The part of a query that names the picture. */
  link: string;
}

async function answer(context: Context, { question: { model, pixels, name }, options, link }: Asked) {
  const question = { model, pixels, name, wantedClass: options.wantedClass };
  const linkTo = (layer: string, channel: number): string =>
    `/activations/${encodeURIComponent(layer)}?channels=${channel}&model=${model.manifest.modelId}&${link}`;
  const explained =
    options.method === 'cam'
      ? await explainByMap(question, { top: options.top, linkTo }, API_LIMITS.defaultTopChannels)
      : await explainByOcclusion(question, options, API_LIMITS.occlusionPatches);
  if (options.format === 'json') return context.json(explained.answer, 200);
  return context.body(...(await draw(explained, { question, scale: options.scale })));
}

async function draw(
  {
    answer: { class: shown, map, ...rest },
    map: drawable,
  }: Explained<z.infer<typeof explanationSchema>> | Explained<z.infer<typeof occlusionSchema>>,
  { question: { model, pixels }, scale }: { question: Question; scale: number | undefined },
): Promise<[Uint8Array<ArrayBuffer>, 200, Record<string, string>]> {
  const [height, width] = model.manifest.architecture.inputShape;
  const overlay = drawOverlay({ pixels, height, width, map: drawable, scale });
  const headers = {
    'content-type': EXPLANATION_MEDIA_TYPES.png,
    [HEADERS.class]: String(shown.index),
    [HEADERS.method]: rest.method,
    [HEADERS.min]: String(map.min),
    [HEADERS.max]: String(map.max),
    [HEADERS.limit]: String(overlay.limit),
    [HEADERS.scale]: SCALE_WORDS,
    ...(rest.method === 'cam'
      ? { [HEADERS.residual]: String(rest.residual) }
      : { [HEADERS.agreement]: String(rest.agreement) }),
  };
  return [await encodePng(overlay), 200, headers];
}
