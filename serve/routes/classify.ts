/** POST /classify and /classify/json: which class a picture shows. */
import { createRoute, z, type RouteHandler } from '@hono/zod-openapi';
import {
  API_LIMITS,
  batchClassificationSchema,
  classificationSchema,
  classifyJsonRequestSchema,
  labelListSchema,
  type Classification,
  type FileResult,
  type LabelList,
} from '../../shared/api.ts';
import { rankTop } from '../../shared/classification.ts';
import { isRequestError, ProductError } from '../../shared/errors.ts';
import { CODE_SAMPLES } from '../description/code-samples.ts';
import { describePredictions, judgeAnswer } from '../answer/prediction.ts';
import { onlyFields } from '../request/invalid-request.ts';
import { CHOICE_FIELDS, CHOICE_PROBLEMS } from '../request/model-choice.ts';
import type { TakenModel } from '../model-pool/model-pool.ts';
import {
  BINARY,
  curl,
  RUN_PROBLEMS,
  PICTURE_PROBLEMS,
  problemAnswers,
  refer,
  referToOneOf,
} from '../description/openapi.ts';
import { toProblem } from '../problem.ts';
import { decodeBase64, isMultipart, readFile, readFiles, readJsonBody, readRawBody } from '../request/request-body.ts';
import { takeModel, type Services } from '../services.ts';
import { workAhead } from '../inference/work-ahead.ts';

const query = onlyFields({
  top_k: z
    .string()
    .regex(/^[1-9]\d{0,5}$/, 'a whole number from 1 on is expected')
    .transform(Number)
    .optional()
    .openapi({
      type: 'integer',
      minimum: 1,
      param: {
        description: `How many classes to list, most likely first; at most the model's. Default ${API_LIMITS.defaultTopK}, or all when the model has fewer.`,
      },
    }),
  format: z
    .enum(['json', 'list'])
    .optional()
    .openapi({
      param: {
        description:
          'For one picture: json (default), or list, which is only [{label, score}] without the rest: what clients of Hugging Face’s image classification expect. They need nothing but this address as their endpointUrl.',
      },
    }),
  ...CHOICE_FIELDS,
});

export const classifyRoute = createRoute({
  method: 'post',
  path: '/classify',
  operationId: 'classify',
  summary: 'Classify pictures',
  description: `Send a PNG, JPEG or WebP file as the body (the bytes decide, the content type is ignored), or 1 to ${API_LIMITS.filesPerRequest} files as multipart/form-data. With files, the answer has one entry per file in their order, each with its answer or its problem. A picture has at most ${API_LIMITS.bytesPerImage / 2 ** 20} MiB and ${API_LIMITS.pixelsPerImage} pixels, a form ${API_LIMITS.bytesPerRequest / 2 ** 20} MiB; /docs#pictures says what is read and what is refused. The token of an answer is the small picture that the model saw: pass it to /activations/{layer}?input=.`,
  ...curl(
    'curl --data-binary @car.jpg HOST/classify\ncurl --data-binary @car.jpg "HOST/classify?format=list"\ncurl -F file=@car.jpg -F file=@cat.png HOST/classify',
    CODE_SAMPLES.classify,
  ),
  request: {
    query,
    body: {
      required: true,
      content: {
        'application/octet-stream': { schema: BINARY },
        'multipart/form-data': {
          schema: {
            type: 'object',
            description: 'one part for each file',
            properties: {
              file: { type: 'array', items: BINARY, minItems: 1, maxItems: API_LIMITS.filesPerRequest },
            },
            required: ['file'],
          },
        },
      },
    },
  },
  responses: {
    200: {
      description: 'One picture: its classes. Several files: one result for each.',
      content: {
        'application/json': { schema: referToOneOf(classificationSchema, labelListSchema, batchClassificationSchema) },
      },
    },
    ...problemAnswers(['request/invalid', ...CHOICE_PROBLEMS, ...PICTURE_PROBLEMS, ...RUN_PROBLEMS]),
  },
});

export const classifyJsonRoute = createRoute({
  method: 'post',
  path: '/classify/json',
  operationId: 'classifyJson',
  summary: 'Classify a picture in JSON',
  description: 'The same for clients that can only send JSON: the file in base64, or as a data URL.',
  ...curl(
    `base64 < car.jpg | tr -d '\\n' | sed 's/.*/{"image":"&"}/' |\n  curl -H 'content-type: application/json' --data-binary @- HOST/classify/json`,
  ),
  request: {
    query,
    // Referred to, so zod-openapi does not read the body itself: it would not count the bytes.
    body: { required: true, content: { 'application/json': { schema: refer(classifyJsonRequestSchema) } } },
  },
  responses: {
    200: {
      description: 'The classes of the picture.',
      content: { 'application/json': { schema: referToOneOf(classificationSchema, labelListSchema) } },
    },
    ...problemAnswers([
      'request/invalid',
      'request/unsupported-media-type',
      'request/malformed-json',
      'image/base64',
      ...CHOICE_PROBLEMS,
      ...PICTURE_PROBLEMS.filter((code) => code !== 'request/malformed-multipart' && code !== 'request/too-many-files'),
      ...RUN_PROBLEMS,
    ]),
  },
});

export function classify(services: Services): RouteHandler<typeof classifyRoute> {
  return async (context) => {
    const request = context.req.raw;
    const { top_k: topK, format, ...choice } = context.req.valid('query');
    if (!isMultipart(request)) {
      const bytes = await readRawBody(request);
      const model = await takeModel(services, context, choice);
      const options = { model, count: resolveCount(model, topK) };
      return context.json(toForm(await classifyOne(bytes, options), format), 200);
    }
    if (format === 'list') {
      throw new ProductError(
        'request/invalid',
        'got a form and format=list; a list is the answer to one picture; send it as the body',
      );
    }
    const files = await readFiles(request, { maxFiles: API_LIMITS.filesPerRequest });
    const model = await takeModel(services, context, choice);
    const options = { model, count: resolveCount(model, topK) };
    const results: FileResult[] = [];
    const answers = workAhead(files, (file) => classifyFile(file, options), model.classifier.lanes);
    for await (const result of answers) results.push(result);
    return context.json({ model: model.reference, results }, 200);
  };
}

export function classifyJson(services: Services): RouteHandler<typeof classifyJsonRoute> {
  return async (context) => {
    const { image } = await readJsonBody(context.req.raw, classifyJsonRequestSchema);
    const { top_k: topK, format, ...choice } = context.req.valid('query');
    const model = await takeModel(services, context, choice);
    const options = { model, count: resolveCount(model, topK) };
    return context.json(toForm(await classifyOne(decodeBase64(image), options), format), 200);
  };
}

function toForm(answer: Classification, format: 'json' | 'list' | undefined): Classification | LabelList {
  return format === 'list' ? answer.predictions.map(({ label, score }) => ({ label, score })) : answer;
}

interface ClassifyOptions {
  model: TakenModel;
  /** Classes to list. */
  count: number;
}

async function classifyFile(file: File, options: ClassifyOptions): Promise<FileResult> {
  try {
    const { model: _model, ...answer } = await classifyOne(await readFile(file), options);
    return { file: file.name, ...answer };
  } catch (error) {
    // A bad picture spoils its own entry only; anything else is the whole request's.
    if (isRequestError(error) && error.code.startsWith('image/')) return { file: file.name, problem: toProblem(error) };
    throw error;
  }
}

async function classifyOne(bytes: Uint8Array, { model, count }: ClassifyOptions): Promise<Classification> {
  const { manifest, classifier, reference } = model;
  const { input, logits } = await classifier.classifyFile(bytes);
  const { pixels, token, sha256, width, height } = input;
  const predictions = describePredictions(logits, rankTop(logits, count), manifest);
  return {
    model: reference,
    predictions,
    input: { token, sha256, width, height },
    ...judgeAnswer({ logits, pixels }, manifest),
  };
}

function resolveCount({ manifest: { classNames } }: TakenModel, topK: number | undefined): number {
  const classes = classNames.length;
  if (topK === undefined) return Math.min(API_LIMITS.defaultTopK, classes);
  if (topK <= classes) return topK;
  throw new ProductError(
    'request/invalid',
    `top_k is ${topK}; the model has ${classes} classes; ask for at most so many`,
    {
      details: { classes },
    },
  );
}
