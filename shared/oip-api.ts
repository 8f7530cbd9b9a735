/**
 * Bodies of the Open Inference Protocol v2 as the API's document describes them (kserve/open-inference-protocol,
 * inference_rest.md, and Triton's binary tensor data extension). The server reads requests by hand, to say what is wrong with
 * them in the protocol's words.
 */
import { z } from 'zod';

/** Request and answer: length of the JSON before the tensors' bytes, or 0 for bytes alone. */
export const OIP_HEADER_LENGTH = 'inference-header-content-length';

/** Of the protocol's tensors, and BF16 of Triton's. */
export const DATATYPES = [
  ...['BOOL', 'UINT8', 'UINT16', 'UINT32', 'UINT64', 'INT8', 'INT16', 'INT32', 'INT64'],
  ...['FP16', 'BF16', 'FP32', 'FP64', 'BYTES'],
];

const parametersSchema = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));

const tensorMetadataSchema = z.object({
  name: z.string(),
  datatype: z.enum(DATATYPES),
  shape: z.array(z.int()).describe('-1: any size.'),
});

const shapeSchema = z.array(z.int().nonnegative());
const dataSchema = z
  .array(z.union([z.int().min(0).max(255), z.array(z.unknown())]))
  .describe('Row-major; flat, or nested in the natural shape.');
const binarySize = 'With the binary extension `parameters.binary_data_size` stands for `data`.';

export const oipErrorSchema = z.object({ error: z.string() });

export const oipServerSchema = z.object({ name: z.string(), version: z.string(), extensions: z.array(z.string()) });

export const oipLiveSchema = z.object({ live: z.boolean() });

export const oipReadySchema = z.object({ ready: z.boolean(), live: z.boolean() });

export const oipModelListSchema = z.object({ models: z.array(z.string()) });

export const oipModelSchema = z.object({
  name: z.string(),
  versions: z.array(z.string()).describe('Those of the last changes, newest first.'),
  platform: z.string(),
  inputs: z.array(tensorMetadataSchema),
  outputs: z.array(tensorMetadataSchema).describe('What a request without `outputs` is answered with.'),
  properties: z
    .record(z.string(), z.string())
    .describe('`layers`: a JSON list of all other outputs that can be asked for by name.'),
});

export const oipModelReadySchema = z.object({ name: z.string(), ready: z.boolean() });

/** Null is as good as a missing field: clients send that fill in every field. */
export const oipInferenceRequestSchema = z.object({
  id: z.string().nullish(),
  parameters: parametersSchema.nullish(),
  inputs: z
    .array(
      z.object({
        name: z.string(),
        shape: shapeSchema,
        datatype: z.enum(DATATYPES),
        parameters: parametersSchema.nullish().describe(binarySize),
        data: dataSchema.nullish(),
      }),
    )
    .min(1),
  outputs: z.array(z.object({ name: z.string(), parameters: parametersSchema.nullish() })).nullish(),
});

export const oipInferenceResponseSchema = z.object({
  model_name: z.string(),
  model_version: z.string(),
  id: z.string().optional(),
  parameters: parametersSchema,
  outputs: z.array(
    z.object({
      name: z.string(),
      datatype: z.enum(DATATYPES),
      shape: shapeSchema,
      parameters: parametersSchema.optional().describe(binarySize),
      data: z.array(z.number()).optional(),
    }),
  ),
});

export const oipIndexRequestSchema = z.object({ ready: z.boolean().nullish() });

export const oipIndexSchema = z.array(
  z.object({
    name: z.string(),
    version: z.string().optional(),
    state: z.enum(['READY', 'LOADING', 'UNAVAILABLE']),
    reason: z.string(),
  }),
);

export type OipServer = z.infer<typeof oipServerSchema>;
export type OipModel = z.infer<typeof oipModelSchema>;
export type OipInferenceResponse = z.infer<typeof oipInferenceResponseSchema>;
export type OipIndex = z.infer<typeof oipIndexSchema>;
