/** /v2: the Open Inference Protocol v2, for the clients of KServe, Triton and others. What it is not: a control plane. */
import { z, type OpenAPIHono, type RouteConfig } from '@hono/zod-openapi';
import type { Context, Handler } from 'hono';
import { ProductError } from '../../shared/errors.ts';
import { sizeOf } from '../../shared/resnet.ts';
import type { Classifier } from '../inference/classifier.ts';
import { CODE_SAMPLES, type CodeSamples } from '../description/code-samples.ts';
import { parseJsonText, parseMessage } from '../oip/inference-message.ts';
import { resolveRequest, type InferenceRequest } from '../oip/inference-request.ts';
import { HEADER_LENGTH, writeAnswer, type OutputTensor } from '../oip/inference-response.ts';
import { readFlag, readObject } from '../oip/json-value.ts';
import { findVersion, listVersions, takeVersion, VERSIONS_NOTE, type VersionName } from '../oip/model-version.ts';
import { OIP_ROOT } from '../oip/oip-error.ts';
import { OIP_LIMITS } from '../oip/oip-limits.ts';
import * as schemas from '../../shared/oip-api.ts';
import { ACCEPTED_ENCODINGS, readOipBody } from '../oip/read-body.ts';
import { listIndex } from '../oip/repository-index.ts';
import * as contract from '../oip/tensor-contract.ts';
import { BINARY, curl, jsonAnswer, MODEL_PROBLEMS, oipErrors, refer, RUN_PROBLEMS } from '../description/openapi.ts';
import type { ProblemCode } from '../problem.ts';
import { takeModel, type Services } from '../services.ts';
import { workAhead } from '../inference/work-ahead.ts';
import { requireReady, requireThread } from './health.ts';

const SERVER = { name: 'resnet18-edge', version: '1', extensions: [contract.BINARY_EXTENSION] };

interface OipRoute {
  method: 'get' | 'post';
  /** Below /v2, with `:name` and `:version` as parameters. */
  path: string;
  operationId: string;
  summary: string;
  description: string;
  sample?: string;
  samples?: CodeSamples;
  request?: Pick<NonNullable<RouteConfig['request']>, 'body' | 'headers'>;
  response: { description: string; content: object };
  errors: readonly ProblemCode[];
  handler: Handler;
}

const BODY_ERRORS = [
  'request/malformed-json',
  'request/invalid',
  'request/aborted',
  'request/too-large',
  'request/unsupported-media-type',
] as const satisfies readonly ProblemCode[];

/** The protocol's `/v2`, which its OpenAPI document spells `/v2/`, and its routes, each documented. */
export function registerOip(app: OpenAPIHono, services: Services): void {
  for (const route of listRoutes(services)) {
    const { method, path, operationId, summary, description, sample, samples, request, response, errors, handler } =
      route;
    const fullPath = OIP_ROOT + path;
    app.openAPIRegistry.registerPath({
      method,
      path: fullPath.replaceAll(/:(\w+)/g, '{$1}'),
      operationId,
      summary,
      description,
      ...(sample === undefined ? {} : curl(sample, samples)),
      request: { params: paramsOf(path), ...request },
      responses: { 200: response, ...oipErrors(errors) },
    });
    app.on(method.toUpperCase(), fullPath, handler);
  }
  app.get(`${OIP_ROOT}/`, describeServer);
}

const PARAMETERS = {
  name: z.string().openapi({ param: { description: 'A channel.' }, example: 'resnet18' }),
  version: z.string().openapi({ param: { description: VERSIONS_NOTE }, example: 'champion' }),
};

const headerLength = z
  .string()
  .optional()
  .openapi({
    type: 'integer',
    minimum: 0,
    param: {
      description: 'Bytes of the JSON, behind which those of the tensors follow; 0: the body is only a tensor.',
    },
  });

function paramsOf(path: string): z.ZodObject {
  return z.object(Object.fromEntries(Object.entries(PARAMETERS).filter(([name]) => path.includes(`:${name}`))));
}

function listRoutes(services: Services): OipRoute[] {
  return [
    {
      method: 'get',
      path: '',
      operationId: 'oipServer',
      summary: 'Open Inference Protocol: the server',
      description:
        'Name, version and extensions. Below /v2 the server speaks the Open Inference Protocol v2, with Triton’s binary tensor data extension; every error there is {"error": string}.',
      sample: 'curl HOST/v2',
      response: jsonAnswer('The server.', schemas.oipServerSchema),
      errors: [],
      handler: describeServer,
    },
    {
      method: 'get',
      path: '/health/live',
      operationId: 'oipLive',
      summary: 'Does the server live?',
      description: 'As /healthz.',
      response: jsonAnswer('It does.', schemas.oipLiveSchema),
      errors: [],
      handler: (context) => context.json({ live: true }),
    },
    {
      method: 'get',
      path: '/health/ready',
      operationId: 'oipReady',
      summary: 'Can the server answer?',
      description: 'As /readyz.',
      response: jsonAnswer('It can.', schemas.oipReadySchema),
      errors: ['server/not-ready'],
      handler: checkReady(services),
    },
    {
      method: 'get',
      path: '/models',
      operationId: 'oipModels',
      summary: 'List the models of the protocol',
      description: 'Each channel is a model.',
      response: jsonAnswer('The names.', schemas.oipModelListSchema),
      errors: MODEL_PROBLEMS,
      handler: async (context) => context.json({ models: await services.models.catalogue.listChannels() }),
    },
    ...modelRoutes(services, ''),
    ...modelRoutes(services, '/versions/:version'),
    {
      method: 'post',
      path: '/repository/index',
      operationId: 'oipIndex',
      summary: 'List models and versions',
      description: 'All of them, or with {"ready": true} those that answer. A body is not needed.',
      sample: 'curl -X POST HOST/v2/repository/index',
      request: { body: { content: { 'application/json': { schema: refer(schemas.oipIndexRequestSchema) } } } },
      response: jsonAnswer('Versions, newest first.', schemas.oipIndexSchema),
      errors: [...BODY_ERRORS, ...MODEL_PROBLEMS],
      handler: readIndex(services),
    },
  ];
}

/** Those that are there twice: for the champion and for a version of the model. */
function modelRoutes(services: Services, version: '' | '/versions/:version'): OipRoute[] {
  const path = `/models/:name${version}`;
  const isVersioned = version !== '';
  const suffix = isVersioned ? 'Version' : '';
  const which = isVersioned ? 'one version of a model' : 'a model';
  const example = `HOST/v2/models/resnet18${isVersioned ? '/versions/champion' : ''}`;
  const { batch, bodyBytes } = OIP_LIMITS;
  return [
    {
      method: 'get',
      path,
      operationId: `oipModel${suffix}`,
      summary: `Describe ${which}`,
      description:
        'Tensors and versions. The outputs are those of a request that names none; properties.layers lists all others.',
      sample: `curl ${example}`,
      response: jsonAnswer('The model.', schemas.oipModelSchema),
      errors: ['model/unknown', ...MODEL_PROBLEMS],
      handler: readModel(services),
    },
    {
      method: 'get',
      path: `${path}/ready`,
      operationId: `oipModelReady${suffix}`,
      summary: `Can ${which} answer?`,
      description: 'Loads a model that is not in memory, so that what is ready answers.',
      response: jsonAnswer('It can.', schemas.oipModelReadySchema),
      errors: ['model/unknown', ...MODEL_PROBLEMS],
      handler: checkModelReady(services),
    },
    {
      method: 'post',
      path: `${path}/infer`,
      operationId: `oipInfer${suffix}`,
      summary: `Ask ${which}`,
      description: `Images of the model’s own size (see the metadata) as UINT8, up to ${batch} in one request of up to ${bodyBytes} bytes, as JSON or as bytes (Inference-Header-Content-Length); the body may be compressed (${ACCEPTED_ENCODINGS}). Outputs are logits, probs and every layer by its name, as FP32.`,
      sample: `head -c 3072 /dev/urandom |\n  curl -H 'Inference-Header-Content-Length: 0' --data-binary @- -o answer.bin ${example}/infer`,
      ...(isVersioned ? {} : { samples: CODE_SAMPLES.oipInfer }),
      request: {
        headers: z.object({ [HEADER_LENGTH]: headerLength }),
        body: {
          required: true,
          content: {
            'application/json': { schema: refer(schemas.oipInferenceRequestSchema) },
            'application/octet-stream': { schema: BINARY },
          },
        },
      },
      response: {
        description: 'The outputs.',
        content: {
          'application/json': { schema: refer(schemas.oipInferenceResponseSchema) },
          'application/octet-stream': { schema: BINARY },
        },
      },
      errors: ['model/unknown', ...BODY_ERRORS, ...RUN_PROBLEMS],
      handler: infer(services),
    },
  ];
}

function describeServer(context: Context): Response {
  return context.json(SERVER);
}

/** `live` is what the text of the protocol calls this field, `ready` what its servers and clients do. */
function checkReady(services: Services): Handler {
  return async (context) => {
    requireReady(services, context);
    requireThread((await takeModel(services, context)).classifier);
    return context.json({ ready: true, live: true });
  };
}

function readModel(services: Services): Handler {
  return async (context) => {
    const wanted = readVersionName(context);
    const { modelId, pointer } = await findVersion(services, context, wanted);
    const { catalogue } = services.models;
    const manifest = await catalogue.readManifest(modelId);
    const model: schemas.OipModel = {
      name: wanted.name,
      versions: (await listVersions(catalogue, pointer)).map(({ version }) => version),
      platform: contract.PLATFORM,
      inputs: contract.describeInputs(manifest),
      outputs: contract.describeOutputs(manifest),
      properties: contract.describeProperties(manifest),
    };
    return context.json(model);
  };
}

function checkModelReady(services: Services): Handler {
  return async (context) => {
    requireReady(services, context);
    const wanted = readVersionName(context);
    const { model } = await takeVersion(services, context, wanted);
    requireThread(model.classifier);
    return context.json({ name: wanted.name, ready: true });
  };
}

function infer(services: Services): Handler {
  return async (context) => {
    const message = parseMessage(await readBodyOf(context), context.req.header(HEADER_LENGTH));
    const wanted = readVersionName(context);
    const { model, version } = await takeVersion(services, context, wanted);
    const request = resolveRequest(message, model.manifest);
    const { body, headers } = writeAnswer(
      {
        model_name: wanted.name,
        model_version: version,
        ...(request.id === undefined ? {} : { id: request.id }),
        parameters: { model_id: model.reference.id },
      },
      await run(model.classifier, request),
    );
    return context.body(body, 200, headers);
  };
}

async function run(classifier: Classifier, { batch, pixels, outputs }: InferenceRequest): Promise<OutputTensor[]> {
  const layers = [...new Set(outputs.map(({ layer }) => layer))];
  const imageSize = pixels.length / batch;
  const values = new Map(layers.map((layer) => [layer, new Float32Array(batch * sizeOf(layer.shape))]));
  const images = Array.from({ length: batch }, (_, image) =>
    pixels.subarray(image * imageSize, (image + 1) * imageSize),
  );
  let image = 0;
  for await (const results of workAhead(images, (each) => classifier.activateAll(each, layers), classifier.lanes)) {
    for (const [index, layer] of layers.entries()) {
      values.get(layer)?.set(results[index] ?? [], image * sizeOf(layer.shape));
    }
    image += 1;
  }
  return outputs.map(({ name, layer, isBinary }) => ({
    name,
    shape: [batch, ...layer.shape],
    values: values.get(layer) ?? new Float32Array(),
    isBinary,
  }));
}

function readIndex(services: Services): Handler {
  return async (context) => {
    const body = await readBodyOf(context);
    const request = body.length === 0 ? {} : readObject(parseJsonText(body), 'the body');
    const ready = request['ready'] ?? false;
    return context.json(await listIndex(services.models, { isReadyOnly: readFlag(ready, 'ready') }));
  };
}

async function readBodyOf(context: Context): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await readOipBody(context.req.raw);
  } catch (error) {
    const isEncoding = error instanceof ProductError && error.code === 'request/unsupported-media-type';
    if (isEncoding) context.header('accept-encoding', ACCEPTED_ENCODINGS);
    throw error;
  }
}

function readVersionName(context: Context): VersionName {
  return { name: context.req.param('name') ?? '', version: context.req.param('version') };
}
