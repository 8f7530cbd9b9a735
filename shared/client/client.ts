/**
 * The API as methods: one for each route and form, typed by the schemas that the server answers by. Every failure is an
 * `ApiError`, an aborted request rejects with the signal's reason. Runs wherever there is `fetch`.
 */
import {
  batchClassificationSchema,
  classificationSchema,
  EXPLANATION_HEADERS,
  explanationSchema,
  healthSchema,
  labelListSchema,
  layerListSchema,
  modelDetailSchema,
  modelHistorySchema,
  modelListSchema,
  occlusionSchema,
  readinessSchema,
  sampleListSchema,
  type BatchClassification,
  type Classification,
  type Explanation,
  type LabelList,
  type LayerList,
  type ModelDetail,
  type ModelHistory,
  type ModelList,
  type Occlusion,
  type Readiness,
  type SampleList,
} from '../api.ts';
import {
  modelComparisonSchema,
  modelEvaluationSchema,
  type ModelComparison,
  type ModelEvaluation,
} from '../evaluation-api.ts';
import { describeLabelled, readEvents, type EvaluationStep, type LabelledPictures } from './evaluation-stream.ts';
import { ACTIVATION_READERS, readNumber, type ActivationForms } from './layer-answer.ts';
import { toBlob, Transport, type Call, type ClientOptions, type Picture, type RequestOptions } from './transport.ts';

/** Which model answers; without either the champion of the default channel. */
export interface ModelOptions extends RequestOptions {
  /** An id, the first digits of it, or an alias such as `champion`. */
  model?: string | undefined;
  /** A channel, whose champion answers. */
  channel?: string | undefined;
}

export interface ClassifyOptions extends ModelOptions {
  /** Classes to list, most likely first. */
  topK?: number | undefined;
}

/** Which picture is meant: one of these, or none for the default sample. */
export interface PictureOptions {
  /** A file. */
  picture?: Picture | undefined;
  /** The token of a picture that was classified. */
  input?: string | undefined;
  /** The name of a sample. */
  sample?: string | undefined;
}

export interface ActivationOptions extends PictureOptions, ModelOptions {
  /** Only these channels, in this order. */
  channels?: readonly number[] | undefined;
  /** Only so many channels, the strongest first. */
  top?: number | undefined;
  /** JSON only: with every value. */
  values?: boolean | undefined;
  /** PNG only: what black and white are the extremes of. */
  range?: 'layer' | 'channel' | undefined;
  /** PNG only: pixels for each value, along each side. */
  scale?: number | undefined;
}

export interface ExplainOptions extends PictureOptions, ModelOptions {
  /** By name or number; without it, the one that is answered. */
  class?: string | number | undefined;
  /** Class activation map only: channels to list with their links. */
  top?: number | undefined;
  /** PNG only: pixels for each of the model's input, along each side. */
  scale?: number | undefined;
  /** Occlusion only, in pixels of the model's input. */
  patch?: number | undefined;
  stride?: number | undefined;
}

export interface ExplanationPicture {
  /** PNG: the picture in grey under the map. */
  picture: Blob;
  /** Number of the class. */
  class: number;
  /** Of the map; full red is `limit`, full blue its negative. */
  min: number;
  max: number;
  limit: number;
}

export class Client {
  readonly #transport: Transport;

  /** `server` is the address of its root, for example `https://resnet.example.com/`. */
  constructor(server: string | URL, options: ClientOptions = {}) {
    this.#transport = new Transport(server, options);
  }

  /** What a picture shows. With `format: 'list'` only `[{label, score}]`. */
  classify(picture: Picture, options: ClassifyOptions & { format: 'list' }): Promise<LabelList>;
  classify(picture: Picture, options?: ClassifyOptions & { format?: 'json' | undefined }): Promise<Classification>;
  classify(picture: Picture, options: ClassifyOptions & { format?: 'json' | 'list' | undefined } = {}) {
    const call = { ...classifyCall(options), ...bytesOf(picture) };
    return options.format === 'list'
      ? this.#transport.readJson('classify', labelListSchema, call)
      : this.#transport.readJson('classify', classificationSchema, call);
  }

  /** The same for a file in base64 or as a data URL, as a canvas gives it. */
  classifyBase64(image: string, options: ClassifyOptions & { format: 'list' }): Promise<LabelList>;
  classifyBase64(image: string, options?: ClassifyOptions & { format?: 'json' | undefined }): Promise<Classification>;
  classifyBase64(image: string, options: ClassifyOptions & { format?: 'json' | 'list' | undefined } = {}) {
    const call = {
      ...classifyCall(options),
      body: JSON.stringify({ image }),
      contentType: 'application/json',
    };
    return options.format === 'list'
      ? this.#transport.readJson('classify/json', labelListSchema, call)
      : this.#transport.readJson('classify/json', classificationSchema, call);
  }

  /** Several files in one request: for each, in their order, an answer or a problem. */
  classifyFiles(
    files: Iterable<{ name: string; picture: Picture }>,
    options: ClassifyOptions = {},
  ): Promise<BatchClassification> {
    const form = new FormData();
    for (const { name, picture } of files) form.append('file', toBlob(picture), name);
    return this.#transport.readJson('classify', batchClassificationSchema, { ...classifyCall(options), body: form });
  }

  /** The layers that can be looked into, in the order of computation. */
  listLayers(options: ModelOptions = {}): Promise<LayerList> {
    return this.#transport.readJson('activations', layerListSchema, modelCall(options));
  }

  /** What a layer puts out: statistics (`json`), all values (`npy`), values in eight bits (`atlas`) or a picture (`png`). */
  async readActivation<Form extends keyof ActivationForms = 'json'>(
    layer: string,
    options: ActivationOptions & { format?: Form | undefined } = {},
  ): Promise<ActivationForms[Form]> {
    const { format = 'json' as Form, channels, top, values, range, scale } = options;
    const answer = await this.#transport.read(
      `activations/${encodeURIComponent(layer)}`,
      pictureCall(options, { format, channels: channels?.join(','), top, values, range, scale }),
    );
    return ACTIVATION_READERS[format](answer);
  }

  /** Where a class is seen: its exact activation map, what hiding patches costs (`occlusion`), or either as a picture. */
  explain(
    options: ExplainOptions & { method?: 'cam' | 'occlusion' | undefined; format: 'png' },
  ): Promise<ExplanationPicture>;
  explain(options: ExplainOptions & { method: 'occlusion'; format?: 'json' | undefined }): Promise<Occlusion>;
  explain(options?: ExplainOptions & { method?: 'cam' | undefined; format?: 'json' | undefined }): Promise<Explanation>;
  async explain(
    options: ExplainOptions & {
      method?: 'cam' | 'occlusion' | undefined;
      format?: 'json' | 'png' | undefined;
    } = {},
  ) {
    const { class: wanted, method = 'cam', format = 'json', top, scale, patch, stride } = options;
    const call = pictureCall(options, { class: wanted, method, format, top, scale, patch, stride });
    if (format === 'json') {
      return this.#transport.readJson('explain', method === 'cam' ? explanationSchema : occlusionSchema, call);
    }
    const answer = await this.#transport.read('explain', call);
    const numberOf = (header: keyof typeof EXPLANATION_HEADERS): number =>
      readNumber(answer, EXPLANATION_HEADERS[header]);
    return {
      picture: new Blob([answer.body], { type: 'image/png' }),
      class: numberOf('class'),
      min: numberOf('min'),
      max: numberOf('max'),
      limit: numberOf('limit'),
    };
  }

  /** How good a model is on the caller's own pictures, told while it goes on; the request begins with the first step. */
  async *evaluate(
    labelled: LabelledPictures,
    options: ModelOptions = {},
  ): AsyncGenerator<EvaluationStep, void, undefined> {
    const call: Call = {
      ...modelCall(options),
      method: 'POST',
      ...describeLabelled(labelled),
      headers: { accept: 'application/x-ndjson' },
    };
    yield* readEvents(await this.#transport.send('evaluate', call), options.signal);
  }

  /** The recorded evaluation of a model, or of the champion of a channel. */
  readEvaluation({ model, channel, ...options }: ModelOptions = {}): Promise<ModelEvaluation> {
    const path = model === undefined ? 'evaluation' : `${pathOf(model)}/evaluation`;
    return this.#transport.readJson(path, modelEvaluationSchema, { ...options, query: { channel } });
  }

  /** Two models, image by image on the same test set. */
  compareModels(first: string, second: string, options: RequestOptions = {}): Promise<ModelComparison> {
    const path = `${pathOf(first)}/compare/${encodeURIComponent(second)}`;
    return this.#transport.readJson(path, modelComparisonSchema, options);
  }

  listModels({ channel, ...options }: Omit<ModelOptions, 'model'> = {}): Promise<ModelList> {
    return this.#transport.readJson('models', modelListSchema, { ...options, query: { channel } });
  }

  /** The manifest of a model. */
  readModel(model: string, options: RequestOptions = {}): Promise<ModelDetail> {
    return this.#transport.readJson(pathOf(model), modelDetailSchema, options);
  }

  /** Which model answered when. */
  readHistory({ channel, ...options }: Omit<ModelOptions, 'model'> = {}): Promise<ModelHistory> {
    return this.#transport.readJson('models/history', modelHistorySchema, { ...options, query: { channel } });
  }

  /** Pictures to try, with their true labels. */
  listSamples(options: RequestOptions = {}): Promise<SampleList> {
    return this.#transport.readJson('samples', sampleListSchema, options);
  }

  /** The file of a sample of `listSamples`; its `url` begins at the root of the server, wherever that lies on its host. */
  async readSamplePicture({ url }: { url: string }, options: RequestOptions = {}): Promise<Blob> {
    const answer = await this.#transport.read(url.replace(/^\//, ''), options);
    return new Blob([answer.body], { type: 'image/png' });
  }

  /** What the server counts, as text for Prometheus. Errors: 'server/no-metrics' of one that counts nothing. */
  async readMetrics(options: RequestOptions = {}): Promise<string> {
    return new TextDecoder().decode((await this.#transport.read('metrics', options)).body);
  }

  /** Resolves when the server lives. */
  async checkLiveness(options: RequestOptions = {}): Promise<void> {
    await this.#transport.readJson('healthz', healthSchema, options);
  }

  /** Resolves to the id of the model that answers. Errors: 'server/not-ready' until it is loaded. */
  checkReadiness(options: RequestOptions = {}): Promise<Readiness> {
    return this.#transport.readJson('readyz', readinessSchema, options);
  }
}

function modelCall({ model, channel, signal, cache }: ModelOptions): Call & { query: NonNullable<Call['query']> } {
  return { query: { model, channel }, signal, cache };
}

function classifyCall(options: ClassifyOptions & { format?: 'json' | 'list' | undefined }): Call {
  const { query, ...call } = modelCall(options);
  return { ...call, method: 'POST', query: { ...query, top_k: options.topK, format: options.format } };
}

/** A question about a picture: with a file it is posted, else the query names it. */
function pictureCall(options: PictureOptions & ModelOptions, asked: NonNullable<Call['query']>): Call {
  const { picture, input, sample } = options;
  const { query, ...call } = modelCall(options);
  return {
    ...call,
    query: { ...query, ...asked, input, sample },
    ...(picture === undefined ? {} : { method: 'POST', ...bytesOf(picture) }),
  };
}

/** The server looks at the bytes; a type that was guessed from a file name says nothing. */
function bytesOf(picture: Picture): Pick<Call, 'body' | 'contentType'> {
  return { body: toBlob(picture), contentType: 'application/octet-stream' };
}

function pathOf(model: string): string {
  return `models/${encodeURIComponent(model)}`;
}
