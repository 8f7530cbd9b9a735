/**
 * How routes are described: answers that refer to the schemas of shared/api.ts by name, problems by their codes, strict
 * queries, and an example that can be pasted into a shell. The document itself is made from the routes by zod-openapi.
 */
import { z, type OpenAPIHono } from '@hono/zod-openapi';
import * as api from '../../shared/api.ts';
import * as evaluation from '../../shared/evaluation-api.ts';
import type { CodeSamples } from './code-samples.ts';
import { onlyFields } from '../request/invalid-request.ts';
import * as oip from '../../shared/oip-api.ts';
import { PROBLEM_KINDS, type ProblemCode } from '../problem.ts';

const COMPONENTS = {
  Problem: api.problemSchema,
  Prediction: api.predictionSchema,
  ModelReference: api.modelReferenceSchema,
  ClassifiedInput: api.classifiedInputSchema,
  Classification: api.classificationSchema,
  LabelList: api.labelListSchema,
  FileResult: api.fileResultSchema,
  BatchClassification: api.batchClassificationSchema,
  ClassifyJsonRequest: api.classifyJsonRequestSchema,
  LayerDescription: api.layerDescriptionSchema,
  LayerList: api.layerListSchema,
  ChannelStatistics: api.channelStatisticsSchema,
  Activation: api.activationSchema,
  NamedInput: api.namedInputSchema,
  Abstention: api.abstentionSchema,
  SignedMap: api.signedMapSchema,
  ChannelContribution: api.channelContributionSchema,
  Explanation: api.explanationSchema,
  Occlusion: api.occlusionSchema,
  Sample: api.sampleSchema,
  SampleList: api.sampleListSchema,
  ModelList: api.modelListSchema,
  ModelDetail: api.modelDetailSchema,
  ChannelEvent: api.channelEventSchema,
  ModelHistory: api.modelHistorySchema,
  EvaluationReport: evaluation.evaluationReportSchema,
  RobustnessReport: evaluation.robustnessReportSchema,
  AbstentionReport: evaluation.abstentionReportSchema,
  ModelEvaluation: evaluation.modelEvaluationSchema,
  EvaluationEvent: evaluation.evaluationEventSchema,
  ModelComparison: evaluation.modelComparisonSchema,
  Health: api.healthSchema,
  Readiness: api.readinessSchema,
  OipError: oip.oipErrorSchema,
  OipServer: oip.oipServerSchema,
  OipLive: oip.oipLiveSchema,
  OipReady: oip.oipReadySchema,
  OipModelList: oip.oipModelListSchema,
  OipModel: oip.oipModelSchema,
  OipModelReady: oip.oipModelReadySchema,
  OipInferenceRequest: oip.oipInferenceRequestSchema,
  OipInferenceResponse: oip.oipInferenceResponseSchema,
  OipIndexRequest: oip.oipIndexRequestSchema,
  OipIndex: oip.oipIndexSchema,
} as const satisfies Record<string, z.ZodType>;

const SCHEMA_PREFIX = '#/components/schemas/';

/** zod's own JSON Schemas: their dialect is that of OpenAPI 3.1, and they refer to each other by name. */
export function registerComponents(app: OpenAPIHono): void {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(COMPONENTS)) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, {
    io: 'input',
    uri: (id) => SCHEMA_PREFIX + id,
    override: ({ jsonSchema }) => {
      // What every JSON number can hold is no limit worth telling.
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      describeAsList(jsonSchema);
    },
  });
  for (const [id, { $schema: _dialect, $id: _uri, ...schema }] of Object.entries(schemas)) {
    app.openAPIRegistry.registerComponent('schemas', id, schema as object);
  }
}

/**
 * A tuple of equals as a list of so many: zod's `prefixItems` would allow more and fewer, and not every reader of the
 * document knows it.
 */
function describeAsList(schema: z.core.JSONSchema.BaseSchema): void {
  const [first, ...others] = schema.prefixItems ?? [];
  if (first === undefined || others.some((other) => JSON.stringify(other) !== JSON.stringify(first))) return;
  delete schema.prefixItems;
  Object.assign(schema, { items: first, minItems: 1 + others.length, maxItems: 1 + others.length });
}

/**
 * The schema as a reference by name. The type stays the schema's, so that handlers are checked against it; zod-openapi
 * itself reads it only to write the document.
 */
export function refer<Schema extends z.ZodType>(schema: Schema): Schema {
  const name = Object.entries(COMPONENTS).find(([, each]) => each === (schema as z.ZodType))?.[0];
  if (name === undefined) throw new Error('internal: a schema without a name in COMPONENTS');
  return { $ref: SCHEMA_PREFIX + name } as unknown as Schema;
}

/** The same for an answer that has one of several shapes. */
export function referToOneOf<Schemas extends readonly [z.ZodType, ...z.ZodType[]]>(
  ...schemas: Schemas
): z.ZodUnion<Schemas> {
  return { oneOf: schemas.map((schema) => refer(schema)) } as unknown as z.ZodUnion<Schemas>;
}

export function jsonAnswer<Schema extends z.ZodType>(description: string, schema: Schema) {
  return { description, content: { 'application/json': { schema: refer(schema) } } };
}

/** A picture in a request or an answer. */
export const BINARY = { type: 'string', format: 'binary', description: 'the bytes of a file' } as const;

/**
 * The problems that a route may answer with, by status. Typed as empty: problems are thrown, so no handler returns one,
 * and the compiler holds what a handler returns against the proper answers only.
 */
export function problemAnswers(codes: readonly ProblemCode[]): object {
  return errorAnswers(codes, { 'application/problem+json': { schema: refer(api.problemSchema) } });
}

/** The same below /v2. */
export function oipErrors(codes: readonly ProblemCode[]): object {
  return errorAnswers(codes, { 'application/json': { schema: refer(oip.oipErrorSchema) } });
}

function errorAnswers(codes: readonly ProblemCode[], content: object): object {
  const statuses = [...new Set(codes.map((code) => PROBLEM_KINDS[code].status))].toSorted((a, b) => a - b);
  return Object.fromEntries(
    statuses.map((status) => [
      status,
      {
        description: codes.filter((code) => PROBLEM_KINDS[code].status === status).join(', '),
        content,
      },
    ]),
  );
}

/** A shell command for the docs page, and the same in other languages; `HOST` stands for the server. */
export function curl(source: string, others?: CodeSamples) {
  const samples = [{ lang: 'Shell', label: 'curl', source }];
  if (others !== undefined) {
    samples.push({ lang: 'Python', label: 'Python', source: others.python.trim() });
    samples.push({ lang: 'TypeScript', label: 'TypeScript', source: others.typescript.trim() });
  }
  return { 'x-codeSamples': samples };
}

/** The query of a route that has none: any parameter is an error. */
export const NO_QUERY = onlyFields({});

/** Codes of everything that needs the model. */
export const MODEL_PROBLEMS = ['server/not-ready', 'internal'] as const satisfies readonly ProblemCode[];

/** Codes of everything that runs it. */
export const RUN_PROBLEMS = [
  ...MODEL_PROBLEMS,
  'server/busy',
  'server/timeout',
  'server/lost',
] as const satisfies readonly ProblemCode[];

/** Codes of everything that reads one picture. */
export const PICTURE_PROBLEMS = [
  'request/empty',
  'request/aborted',
  'request/malformed-multipart',
  'request/too-many-files',
  'request/too-large',
  'image/empty',
  'image/too-large',
  'image/unknown-type',
  'image/unsupported',
  'image/too-many-pixels',
  'image/truncated',
  'image/corrupt',
] as const satisfies readonly ProblemCode[];
