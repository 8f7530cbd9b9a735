/**
 * The HTTP contract: bodies, queries and limits of every route. The server implements it and derives its OpenAPI document
 * from it, the web client and tests read answers with it. Field names are snake_case only where a peer's wire format is.
 */
import { z } from 'zod';
import { REQUEST_ERROR_CODES } from './errors.ts';
import { architectureSchema } from './architecture.ts';
import { PICTURE_LIMITS } from './limits.ts';
import { ABSTENTION_REASONS, CERTAINTY_SCORES } from './abstention.ts';
import { manifestSchema } from './manifest.ts';

export const API_LIMITS = {
  filesPerRequest: 32,
  bytesPerImage: PICTURE_LIMITS.bytes,
  pixelsPerImage: PICTURE_LIMITS.pixels,
  bytesPerRequest: 32 * 1024 * 1024,
  /** Characters; Cloudflare takes no more either. An input token has some 4,000. */
  urlLength: 16 * 1024,
  /** Lists and objects in each other, in JSON. */
  jsonDepth: 32,
  /** Lists and objects in all: a byte of text can be an object of 50 bytes. */
  jsonContainers: 2 ** 18,
  /** Fields of objects in all. */
  jsonFields: 2 ** 12,
  defaultTopK: 5,
  defaultTopChannels: 8,
  /** Each comes with a link that holds the picture. */
  topChannels: 64,
  /** Runs of the model for one picture. */
  occlusionPatches: 64,
} as const;

/** Response headers of every answer that a model gave. */
export const MODEL_ID_HEADER = 'x-model-id';
/** How the numbers were computed: `exact` in float32, `fast` with some weights stored in 16 bits. */
export const MODEL_MODE_HEADER = 'x-model-mode';
/** Where a channel's champion answered: `seq` of the pointer that named it. */
export const MODEL_SEQ_HEADER = 'x-model-seq';

/** Response headers of a layer that is no JSON: what the bytes are. */
export const ACTIVATION_HEADERS = {
  channels: 'x-activation-channels',
  shape: 'x-activation-shape',
  min: 'x-activation-min',
  max: 'x-activation-max',
  columns: 'x-activation-columns',
} as const;

/** Response headers of an explanation that is a picture: what it shows, and what its colours mean. */
export const EXPLANATION_HEADERS = {
  class: 'x-explanation-class',
  method: 'x-explanation-method',
  min: 'x-explanation-min',
  max: 'x-explanation-max',
  limit: 'x-explanation-limit',
  scale: 'x-explanation-scale',
  residual: 'x-explanation-residual',
  agreement: 'x-explanation-agreement',
} as const;

/** Of every answer, and in every problem: what the caller chose, or what the server made up. */
export const REQUEST_ID_HEADER = 'x-request-id';

export const PROBLEM_MEDIA_TYPE = 'application/problem+json';

/** Codes that a caller may be told: errors of its own, and those of the operator's that it must know. */
export const PROBLEM_CODES = [
  ...REQUEST_ERROR_CODES,
  'evaluation/missing',
  'evaluation/incomparable',
  'server/not-ready',
  'server/busy',
  'server/timeout',
  'server/lost',
  'server/no-metrics',
  'internal',
] as const;

/** RFC 9457 problem details; `code` is stable, `detail` says what was got, what was expected and what to do. */
export const problemSchema = z.object({
  type: z.string().describe('Path of the code’s explanation on this server.'),
  title: z.string(),
  status: z.int(),
  code: z.enum(PROBLEM_CODES).describe('Stable: clients may rely on it.'),
  detail: z.string().describe('What was got, what was expected and what to do.'),
  details: z
    .record(z.string(), z.unknown())
    .optional()
    .describe('Facts for machines, for example `layers` for an unknown layer.'),
  requestId: z.string().optional().describe('As in the header x-request-id: the operator finds it in the log.'),
});

export const predictionSchema = z.object({
  label: z.string(),
  index: z.int().nonnegative(),
  score: z.number().min(0).max(1).describe('Calibrated probability.'),
  logit: z.number(),
});

export const modelReferenceSchema = z.object({
  id: z.string(),
  name: z.string(),
  channel: z.string().nullable().describe('The channel whose champion answered; null when a model was asked for.'),
  seq: z
    .int()
    .nonnegative()
    .nullable()
    .describe('How often the champion of this channel was changed before; else null.'),
  mode: z
    .enum(['exact', 'fast'])
    .describe('How the numbers were computed: in float32, or with some weights stored in 16 bits.'),
});

/** What the model saw: the token reproduces it, so every later view of this picture needs nothing else. */
export const classifiedInputSchema = z.object({
  token: z
    .string()
    .describe('The small picture itself, for `/activations/{layer}?input=`: the pixels, deflated, in base64url.'),
  sha256: z.string().describe('Of the model input’s pixels.'),
  width: z.int().positive().describe('Of the uploaded picture in pixels, upright.'),
  height: z.int().positive(),
});

/** Whether the model says that it does not know; only of models that have a threshold. */
export const abstentionSchema = z.strictObject({
  isAbstained: z.boolean().describe('There is a reason: take no prediction for an answer.'),
  reasons: z
    .array(z.enum(ABSTENTION_REASONS))
    .describe(
      'unsure: the score is below the threshold. too-smooth, too-rough: the picture is unlike all that the model was trained for.',
    ),
  score: z.number().describe('How sure the model is.'),
  threshold: z.number().describe('Of the model’s manifest: most validation images reach it.'),
  kind: z
    .enum(CERTAINTY_SCORES)
    .describe('probability: the greatest calibrated one; energy: log of the sum of exp(logit / temperature).'),
  roughness: z.number().describe('Of the model’s input: the mean difference between neighbouring pixels, 0 to 255.'),
  roughnessRange: z
    .strictObject({ min: z.number(), max: z.number() })
    .describe('Of the model’s manifest: most validation images lie in it.'),
});

export const classificationSchema = z.object({
  model: modelReferenceSchema,
  predictions: z.array(predictionSchema),
  input: classifiedInputSchema,
  abstain: abstentionSchema.exactOptional(),
});

/** With `format=list`: what clients of other classification services expect. */
export const labelListSchema = z.array(predictionSchema.pick({ label: true, score: true }));

/** One file of a multipart request: an answer or a problem, never both. */
export const fileResultSchema = z.union([
  z.object({
    file: z.string(),
    predictions: z.array(predictionSchema),
    input: classifiedInputSchema,
    abstain: abstentionSchema.exactOptional(),
  }),
  z.object({ file: z.string(), problem: problemSchema }),
]);

export const batchClassificationSchema = z.object({
  model: modelReferenceSchema,
  results: z.array(fileResultSchema),
});

export const classifyJsonRequestSchema = z.strictObject({
  image: z.string().min(1).describe('The bytes of a PNG, JPEG or WebP file in base64, or a data URL of them.'),
});

export const layerDescriptionSchema = z.object({
  name: z.string(),
  kind: z.string(),
  shape: z.array(z.int().positive()).describe('[height, width, channels], or [features].'),
  parameters: z.int().nonnegative(),
});

export const layerListSchema = z.object({
  model: modelReferenceSchema,
  layers: z.array(layerDescriptionSchema),
});

export const channelStatisticsSchema = z.object({
  channel: z.int().nonnegative(),
  min: z.number(),
  max: z.number(),
  mean: z.number(),
  zeros: z.number().min(0).max(1).describe('Share of exact zeros.'),
  dead: z.boolean().describe('Zero everywhere for this picture.'),
});

/** The sample's name and true label, or the sha256 of the model input's pixels. */
export const namedInputSchema = z.union([
  z.object({ sample: z.string(), label: z.string() }),
  z.object({ sha256: z.string() }),
]);

export const activationSchema = z.object({
  model: modelReferenceSchema,
  layer: layerDescriptionSchema,
  input: namedInputSchema,
  channels: z.array(channelStatisticsSchema).describe('In the order that was asked for.'),
  values: z
    .array(z.number())
    .optional()
    .describe(
      'With `values=true`: row-major, [height, width, channels], or [features]; only the listed channels, in their order.',
    ),
});

export const signedMapSchema = z.object({
  height: z.int().positive(),
  width: z.int().positive(),
  min: z.number(),
  max: z.number(),
  mean: z.number(),
  values: z.array(z.number()).describe('Row-major, [height, width]. What is positive speaks for the class.'),
});

export const channelContributionSchema = z.object({
  channel: z.int().nonnegative(),
  mean: z.number().describe('Of the channel’s values for this picture.'),
  weight: z.number().describe('With which the class takes the mean.'),
  contribution: z.number().describe('To the logit: mean times weight.'),
  share: z.number().min(0).max(1).describe('Of the sum of the absolute contributions of all channels.'),
  url: z.string().describe('Path of the channel’s values for this picture and this model.'),
});

/** The exact class activation map: the mean of the map plus the bias is the class's logit. */
export const explanationSchema = z.object({
  method: z.literal('cam'),
  model: modelReferenceSchema,
  input: namedInputSchema,
  class: predictionSchema.describe('The class that is explained.'),
  layer: layerDescriptionSchema.describe('The layer whose channels the map adds up.'),
  map: signedMapSchema,
  bias: z.number(),
  residual: z.number().nonnegative().describe('|mean of the map + bias - logit|: what rounding leaves.'),
  contributions: z.array(z.number()).describe('Of each channel; with the bias they sum to the logit.'),
  channels: z
    .array(channelContributionSchema)
    .describe('Those with the greatest absolute contribution, in this order.'),
  abstain: abstentionSchema.exactOptional(),
});

/** What the class's logit loses when a patch of the picture is hidden. */
export const occlusionSchema = z.object({
  method: z.literal('occlusion'),
  model: modelReferenceSchema,
  input: namedInputSchema,
  class: predictionSchema.describe('The class that is explained.'),
  patch: z.int().positive().describe('Side of the hidden square in pixels of the model’s input.'),
  stride: z.int().positive(),
  fill: z.array(z.int()).describe('The colour that hides: the mean of the training images.'),
  map: signedMapSchema.describe('One value for each place of the patch: logit without it hidden - logit with it.'),
  agreement: z
    .number()
    .min(-1)
    .max(1)
    .nullable()
    .describe(
      'Rank correlation (Spearman) with the class activation map, averaged over the same patches; null when the model has no such map, or one of the two is flat.',
    ),
  abstain: abstentionSchema.exactOptional(),
});

export const sampleSchema = z.object({
  name: z.string(),
  label: z.string(),
  url: z.string().describe('Path of the picture on this server.'),
});

export const sampleListSchema = z.object({ default: z.string(), samples: z.array(sampleSchema) });

export const modelListSchema = z.object({
  models: z.array(
    z.object({
      id: z.string(),
      name: z.string(),
      aliases: z.array(z.string()).describe('Other names for `?model=`; `champion` answers when no model is named.'),
      classNames: z.array(z.string()),
      architecture: architectureSchema,
    }),
  ),
});

export const modelDetailSchema = manifestSchema;

/** One change of a channel, or the `start`: what answered before the first one. */
export const channelEventSchema = z.object({
  seq: z.int().nonnegative(),
  action: z.enum(['start', 'promote', 'rollback']),
  champion: z.string().describe('Id of the model that answered from then on.'),
  at: z.iso.datetime().nullable().describe('UTC; null for the start.'),
});

export const modelHistorySchema = z.object({
  channel: z.string(),
  events: z.array(channelEventSchema).describe('Newest first.'),
});

/** Anything but `ok` is a problem. */
export const healthSchema = z.object({ status: z.literal('ok') });

export const readinessSchema = healthSchema.extend({ model: z.string().describe('Id of the model that answers.') });

export type Problem = z.infer<typeof problemSchema>;
export type Prediction = z.infer<typeof predictionSchema>;
export type Classification = z.infer<typeof classificationSchema>;
export type BatchClassification = z.infer<typeof batchClassificationSchema>;
export type LabelList = z.infer<typeof labelListSchema>;
export type FileResult = z.infer<typeof fileResultSchema>;
export type LayerDescription = z.infer<typeof layerDescriptionSchema>;
export type LayerList = z.infer<typeof layerListSchema>;
export type ChannelStatistics = z.infer<typeof channelStatisticsSchema>;
export type Activation = z.infer<typeof activationSchema>;
export type NamedInput = z.infer<typeof namedInputSchema>;
export type Abstention = z.infer<typeof abstentionSchema>;
export type SignedMap = z.infer<typeof signedMapSchema>;
export type Explanation = z.infer<typeof explanationSchema>;
export type Occlusion = z.infer<typeof occlusionSchema>;
export type SampleList = z.infer<typeof sampleListSchema>;
export type ModelReference = z.infer<typeof modelReferenceSchema>;
export type ChannelEvent = z.infer<typeof channelEventSchema>;
export type ModelList = z.infer<typeof modelListSchema>;
export type ModelDetail = z.infer<typeof modelDetailSchema>;
export type ModelHistory = z.infer<typeof modelHistorySchema>;
export type Readiness = z.infer<typeof readinessSchema>;
