/**
 * Below /v2: the Open Inference Protocol v2, of this or any other server of it. Tensors travel as bytes in both directions
 * (Triton's binary extension).
 */
import {
  OIP_HEADER_LENGTH,
  oipIndexSchema,
  oipInferenceResponseSchema,
  oipLiveSchema,
  oipModelListSchema,
  oipModelReadySchema,
  oipModelSchema,
  oipReadySchema,
  oipServerSchema,
  type OipIndex,
  type OipModel,
  type OipServer,
} from '../oip-api.ts';
import { unexpectedAnswer } from './api-error.ts';
import { parseAnswer, Transport, type Answer, type ClientOptions, type RequestOptions } from './transport.ts';

export interface VersionOptions extends RequestOptions {
  /** A number or an alias; without it, the one that answers. */
  version?: string | undefined;
}

export interface InputTensor {
  name: string;
  /** With the batch first. */
  shape: readonly number[];
  /** Of the protocol, for example UINT8. */
  datatype: string;
  /** Row-major, little-endian. */
  data: ArrayBufferView;
}

export interface OutputTensor {
  shape: readonly number[];
  /** Row-major; a copy. */
  values: Float32Array<ArrayBuffer>;
}

export interface Inference {
  model: string;
  version: string;
  id: string | undefined;
  /** By name. */
  outputs: ReadonlyMap<string, OutputTensor>;
}

export class OipClient {
  readonly #transport: Transport;

  /** `server` is the address above /v2. */
  constructor(server: string | URL, options: ClientOptions = {}) {
    this.#transport = new Transport(server, options);
  }

  describeServer(options: RequestOptions = {}): Promise<OipServer> {
    return this.#transport.readJson('v2', oipServerSchema, options);
  }

  async isLive(options: RequestOptions = {}): Promise<boolean> {
    return (await this.#transport.readJson('v2/health/live', oipLiveSchema, options)).live;
  }

  /** Errors: 'client/refused' with status 503 of a server that is not. */
  async isReady(options: RequestOptions = {}): Promise<boolean> {
    return (await this.#transport.readJson('v2/health/ready', oipReadySchema, options)).ready;
  }

  async listModels(options: RequestOptions = {}): Promise<string[]> {
    return (await this.#transport.readJson('v2/models', oipModelListSchema, options)).models;
  }

  /** All versions with their states; with `ready` those that answer. */
  listIndex({ ready, ...options }: RequestOptions & { ready?: boolean | undefined } = {}): Promise<OipIndex> {
    const body = JSON.stringify({ ready });
    const call = { ...options, method: 'POST', body, contentType: 'application/json' } as const;
    return this.#transport.readJson('v2/repository/index', oipIndexSchema, call);
  }

  /** Tensors and versions of a model. */
  describeModel(name: string, { version, ...options }: VersionOptions = {}): Promise<OipModel> {
    return this.#transport.readJson(pathOf(name, version), oipModelSchema, options);
  }

  async isModelReady(name: string, { version, ...options }: VersionOptions = {}): Promise<boolean> {
    const path = `${pathOf(name, version)}/ready`;
    return (await this.#transport.readJson(path, oipModelReadySchema, options)).ready;
  }

  /**
   * Run a model; without `outputs` it answers with those of its description.
   *
   * Errors   'client/unexpected-answer' also for an output that is not FP32
   */
  async infer(
    name: string,
    {
      inputs,
      outputs,
      id,
      version,
      ...options
    }: VersionOptions & {
      inputs: readonly InputTensor[];
      outputs?: readonly string[] | undefined;
      id?: string | undefined;
    },
  ): Promise<Inference> {
    const head = new TextEncoder().encode(
      JSON.stringify({
        id,
        parameters: { binary_data_output: true },
        inputs: inputs.map(({ data, ...tensor }) => ({
          ...tensor,
          parameters: { binary_data_size: data.byteLength },
        })),
        outputs: outputs?.map((output) => ({ name: output })),
      }),
    );
    const answer = await this.#transport.read(`${pathOf(name, version)}/infer`, {
      ...options,
      method: 'POST',
      body: new Blob([head, ...inputs.map(({ data }) => data as ArrayBufferView<ArrayBuffer>)]),
      contentType: 'application/octet-stream',
      headers: { [OIP_HEADER_LENGTH]: String(head.length) },
    });
    return readInference(answer);
  }
}

/** Errors: 'client/unexpected-answer'. */
function readInference(answer: Answer): Inference {
  const headBytes = Number(answer.headers.get(OIP_HEADER_LENGTH) ?? answer.body.byteLength);
  const head = parseAnswer({ ...answer, body: answer.body.slice(0, headBytes) }, oipInferenceResponseSchema);
  let start = headBytes;
  const outputs = head.outputs.map(({ name, datatype, shape, data, parameters }) => {
    const size = shape.reduce((product, each) => product * each, 1);
    const bytes = Number(parameters?.['binary_data_size'] ?? 0);
    const values = data === undefined ? readFloats(answer.body, start, bytes) : Float32Array.from(data);
    start += bytes;
    if (datatype !== 'FP32' || values.length !== size) {
      throw unexpectedAnswer(`got ${datatype} and ${values.length} values of ${name} [${shape.join(', ')}]`, answer);
    }
    return [name, { shape, values }] as const;
  });
  return { model: head.model_name, version: head.model_version, id: head.id, outputs: new Map(outputs) };
}

/** Sliced because a view must begin at a multiple of four; the platforms of `fetch` are little-endian, as the protocol. */
function readFloats(body: ArrayBuffer, start: number, bytes: number): Float32Array<ArrayBuffer> {
  return new Float32Array(body.slice(start, start + bytes - (bytes % 4)));
}

function pathOf(name: string, version: string | undefined): string {
  const model = `v2/models/${encodeURIComponent(name)}`;
  return version === undefined ? model : `${model}/versions/${encodeURIComponent(version)}`;
}
