/** The forms in which a layer's values are answered: what a request may ask for, and the body and headers of each. */
import { z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import {
  ACTIVATION_HEADERS as HEADERS,
  activationSchema,
  type Activation,
  type LayerDescription,
} from '../../shared/api.ts';
import { ProductError } from '../../shared/errors.ts';
import { encodePng } from '../../shared/image/png-encode.ts';
import type { LayerEntry } from '../../shared/manifest.ts';
import { encodeAtlas, encodeNpy } from './activation-bytes.ts';
import { describeChannels, drawChannels, LARGEST_SCALE, RANGES, type Range } from './activation-view.ts';
import { CHANNELS_PATTERN, formatChannels, selectChannels, type ChannelSelection } from './channel-selection.ts';
import { toDecimal } from './decimal.ts';
import { pickChannels, type LayerValues } from './layer-values.ts';
import {
  ACTIVATION_FORMATS,
  ACTIVATION_MEDIA_TYPES,
  negotiateFormat,
  type ActivationFormat,
} from '../request/media-type.ts';
import type { ModelInput } from '../inference/model-input.ts';
import type { TakenModel } from '../model-pool/model-pool.ts';
import { BINARY, refer } from '../description/openapi.ts';

export const ACTIVATION_HEADERS: readonly string[] = Object.values(HEADERS);

const wholeNumber = (pattern: RegExp, expected: string) =>
  z.string().regex(pattern, expected).transform(Number).optional();

/** Fields of a query. */
export const VIEW_FIELDS = {
  format: z
    .enum(ACTIVATION_FORMATS)
    .optional()
    .openapi({
      param: {
        description: `The form: ${ACTIVATION_FORMATS.map((format) => `${format} (${ACTIVATION_MEDIA_TYPES[format]})`).join(', ')}. Decides over the Accept header. Default json.`,
      },
    }),
  channels: z
    .string()
    .regex(CHANNELS_PATTERN, 'numbers and ranges such as 3,5,8-12 are expected')
    .optional()
    .openapi({ param: { description: 'Only these channels, in this order: numbers and ranges, such as 3,5,8-12.' } }),
  top: wholeNumber(/^[1-9]\d{0,5}$/, 'a whole number from 1 on is expected').openapi({
    type: 'integer',
    minimum: 1,
    param: {
      description: 'Only so many channels, the strongest first: those with the greatest mean of absolute values.',
    },
  }),
  values: z
    .enum(['true', 'false'])
    .optional()
    .openapi({ param: { description: 'JSON only: also list every value of the channels, row-major.' } }),
  range: z
    .enum(RANGES)
    .optional()
    .openapi({
      param: {
        description:
          'PNG only: whether black and white are the least and greatest value of the whole layer (default), or of each channel.',
      },
    }),
  scale: wholeNumber(/^([1-9]|1[0-6])$/, `a whole number from 1 to ${LARGEST_SCALE} is expected`).openapi({
    type: 'integer',
    minimum: 1,
    maximum: LARGEST_SCALE,
    param: { description: 'PNG only: pixels for each value along each side. Default 1.' },
  }),
};

type ViewQuery = z.output<z.ZodObject<typeof VIEW_FIELDS>>;

/** For the OpenAPI document. */
export const VIEW_ANSWER = {
  description: [
    'JSON: statistics of each channel.',
    `PNG: the channels in a grid, left to right and top to bottom, one pixel apart, in grey from ${HEADERS.min} (black) to ${HEADERS.max} (white) unless range=channel, ${HEADERS.columns} per row; features are one strip.`,
    `NPY: an array file of NumPy, float32 [height, width, channels], or [features].`,
    `Atlas: each channel’s least and greatest value, float32 little-endian [channels, 2], then its values scaled between them, uint8 [channels, height, width]; not of features.`,
    `${HEADERS.channels} lists the channels of all but JSON, ${HEADERS.shape} the sizes of the array.`,
  ].join(' '),
  content: {
    [ACTIVATION_MEDIA_TYPES.json]: { schema: refer(activationSchema) },
    [ACTIVATION_MEDIA_TYPES.png]: { schema: BINARY },
    [ACTIVATION_MEDIA_TYPES.npy]: { schema: BINARY },
    [ACTIVATION_MEDIA_TYPES.atlas]: { schema: BINARY },
  },
} as const;

export interface ViewOptions extends ChannelSelection {
  format: ActivationFormat;
  hasValues: boolean;
  range: Range;
  scale: number;
}

/** Errors: 'request/invalid' for an option that the form does not have, 'request/not-acceptable'. */
export function resolveView(context: Context, query: ViewQuery): ViewOptions {
  const format = query.format ?? negotiateFormat(context.req.header('accept'));
  if (format !== 'json' && query.values !== undefined) {
    throw new ProductError(
      'request/invalid',
      `values is for JSON, the form is ${format}; ask for values with format=json`,
    );
  }
  const forPng = (['range', 'scale'] as const).find((name) => query[name] !== undefined);
  if (format !== 'png' && forPng !== undefined) {
    throw new ProductError('request/invalid', `${forPng} is for pictures, the form is ${format}; ask with format=png`);
  }
  return {
    format,
    channels: query.channels,
    top: query.top,
    hasValues: query.values === 'true',
    range: query.range ?? 'layer',
    scale: query.scale ?? 1,
  };
}

export interface View {
  model: TakenModel;
  layer: LayerEntry;
  input: ModelInput;
  options: ViewOptions;
  /** How the answer names the picture. */
  name: Activation['input'];
}

/** Runs the model. Errors: 'request/invalid' for channels that the layer lacks, and for a form that it cannot have. */
export async function answerView(context: Context, { model, layer, input, options, name }: View) {
  const whole: LayerValues = { shape: layer.shape, values: await model.classifier.activate(input.pixels, layer) };
  const channels = selectChannels(whole, options);
  if (options.format === 'json') {
    const activation: Activation = {
      model: model.reference,
      layer: toDescription(layer),
      input: name,
      channels: describeChannels(whole, channels),
      ...(options.hasValues ? { values: Array.from(pickChannels(whole, channels).values, toDecimal) } : {}),
    };
    return context.json(activation, 200);
  }
  const { bytes, headers } = await encodeView(whole, { ...options, format: options.format, channels });
  return context.body(bytes, 200, {
    'content-type': ACTIVATION_MEDIA_TYPES[options.format],
    [HEADERS.channels]: formatChannels(channels),
    ...headers,
  });
}

interface EncodeOptions {
  format: Exclude<ActivationFormat, 'json'>;
  channels: readonly number[];
  range: Range;
  scale: number;
}

interface EncodedView {
  bytes: Uint8Array<ArrayBuffer>;
  headers: Record<string, string>;
}

async function encodeView(whole: LayerValues, { format, channels, range, scale }: EncodeOptions): Promise<EncodedView> {
  switch (format) {
    case 'png': {
      const picture = drawChannels(whole, { channels, range, scale });
      const headers = {
        [HEADERS.min]: String(picture.min),
        [HEADERS.max]: String(picture.max),
        [HEADERS.columns]: String(picture.columns),
      };
      return { bytes: await encodePng(picture), headers };
    }
    case 'npy': {
      const picked = pickChannels(whole, channels);
      return { bytes: encodeNpy(picked), headers: { [HEADERS.shape]: picked.shape.join(',') } };
    }
    case 'atlas': {
      const { bytes, shape } = encodeAtlas(pickChannels(whole, channels));
      return { bytes, headers: { [HEADERS.shape]: shape.join(',') } };
    }
  }
}

export function toDescription({ name, kind, shape, parameters }: LayerEntry): LayerDescription {
  return { name, kind, shape, parameters };
}
