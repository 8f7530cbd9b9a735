/**
 * What /v2 promises beyond the protocol: numbers that are those of the other routes, versions, limits. The protocol itself is
 * the matter of test/conformance/oip.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { OIP_LIMITS } from '../../serve/oip/oip-limits.ts';
import { oipErrorSchema, oipInferenceResponseSchema, oipModelSchema } from '../../shared/oip-api.ts';
import { activationSchema, modelDetailSchema } from '../../shared/api.ts';
import { decodeInputToken } from '../../shared/image/token.ts';
import type { ModelManifest } from '../../shared/manifest.ts';
import { sizeOf } from '../../shared/resnet.ts';
import { classify, drawPicture, readAnswer, type Send } from './api-client.ts';

const INFER = '/v2/models/resnet18/infer';
const HEADER_LENGTH = 'inference-header-content-length';

/** Float32 values of a raw request's answer, by output. */
async function readTensors(response: Response): Promise<Map<string, Float32Array>> {
  const bytes = await response.arrayBuffer();
  expect(response.status, new TextDecoder().decode(bytes.slice(0, 500))).toBe(200);
  const jsonBytes = Number(response.headers.get(HEADER_LENGTH));
  const json = JSON.parse(new TextDecoder().decode(bytes.slice(0, jsonBytes))) as unknown;
  let offset = jsonBytes;
  const { outputs } = oipInferenceResponseSchema.parse(json);
  return new Map(
    outputs.map(({ name, shape, parameters }) => {
      const size = Number(parameters?.['binary_data_size']);
      expect(size).toBe(4 * sizeOf(shape));
      offset += size;
      return [name, new Float32Array(bytes.slice(offset - size, offset))];
    }),
  );
}

export function describeOip(platform: string, send: Send): void {
  describe(`/v2 on ${platform}`, () => {
    let manifest: ModelManifest;
    let pixels: Uint8Array<ArrayBuffer>;
    let token: string;
    let logits: number[];

    beforeAll(async () => {
      manifest = await readAnswer(await send('/models/champion'), modelDetailSchema);
      const picture = await drawPicture({ width: 41, height: 23 });
      const { input, predictions } = await classify(send, picture, `?top_k=${manifest.classNames.length}`);
      token = input.token;
      pixels = await decodeInputToken(token, sizeOf(manifest.architecture.inputShape));
      logits = predictions.toSorted((a, b) => a.index - b.index).map(({ logit }) => logit);
    });

    const sendRaw = (body: Uint8Array<ArrayBuffer>, path = INFER): Promise<Response> =>
      send(path, { method: 'POST', headers: { [HEADER_LENGTH]: '0' }, body });

    const inputOf = (batch: number, data: unknown = Array.from({ length: batch }, () => [...pixels]).flat()) => ({
      name: 'image',
      datatype: 'UINT8',
      shape: [batch, ...manifest.architecture.inputShape],
      data,
    });

    const sendJson = (request: object, path = INFER): Promise<Response> =>
      send(path, { method: 'POST', body: JSON.stringify({ inputs: [inputOf(1)], ...request }) });

    async function readError(response: Response, status: number): Promise<string> {
      const text = await response.text();
      expect(response.status, text).toBe(status);
      expect(response.headers.get('content-type')).toBe('application/json');
      expect(response.headers.get('access-control-allow-origin')).toBe('*');
      return oipErrorSchema.strict().parse(JSON.parse(text)).error;
    }

    async function activation(layer: string): Promise<number[]> {
      const response = await send(`/activations/${layer}?input=${token}&values=true`);
      return (await readAnswer(response, activationSchema)).values ?? expect.fail('no values');
    }

    test('gives the logits of /classify for the same picture, bit for bit', async () => {
      const tensors = await readTensors(await sendRaw(pixels));
      expect([...tensors.keys()]).toEqual(['logits', 'probs']);
      expect(tensors.get('logits')).toEqual(Float32Array.from(logits));
      expect(new Set(logits).size).toBe(manifest.classNames.length);
      const { outputs } = await readAnswer(await sendJson({}), oipInferenceResponseSchema);
      expect(outputs[0]).toEqual({ name: 'logits', datatype: 'FP32', shape: [1, logits.length], data: logits });
    });

    test('gives any layer by its name, with the values of /activations', async () => {
      const names = ['probs', 'layer1', 'avgpool', 'input'];
      const outputs = names.map((name) => ({ name, parameters: { binary_data: true } }));
      const tensors = await readTensors(await sendJson({ outputs }));
      expect([...tensors.keys()]).toEqual(names);
      for (const name of names) expect(tensors.get(name)).toEqual(Float32Array.from(await activation(name)));
    });

    test('answers a batch as it answers each picture', async () => {
      const other = pixels.map((value) => 255 - value);
      const both = new Uint8Array(2 * pixels.length);
      both.set(pixels);
      both.set(other, pixels.length);
      const together = (await readTensors(await sendRaw(both))).get('logits') ?? expect.fail('no logits');
      const alone = await Promise.all([pixels, other].map(async (each) => readTensors(await sendRaw(each))));
      expect([...together]).toEqual(alone.flatMap((tensors) => [...(tensors.get('logits') ?? [])]));
    });

    test('names the model that answered, in the body and in the headers', async () => {
      const response = await sendJson({});
      expect(response.headers.get('x-model-id')).toBe(manifest.modelId);
      expect(response.headers.get('x-model-seq')).toBe('0');
      const answer = await readAnswer(response, oipInferenceResponseSchema);
      expect(answer).toMatchObject({ model_name: 'resnet18', model_version: '0' });
      expect(answer.parameters).toEqual({ model_id: manifest.modelId });
    });

    test('describes the input, the default outputs, and the layers among the properties', async () => {
      const model = await readAnswer(await send('/v2/models/resnet18'), oipModelSchema);
      const shape = [-1, ...manifest.architecture.inputShape];
      expect(model.inputs).toEqual([{ name: 'image', datatype: 'UINT8', shape }]);
      expect(model.outputs.map(({ name }) => name)).toEqual(['logits', 'probs']);
      expect(model.versions).toEqual(['0']);
      expect(JSON.parse(model.properties['labels'] ?? '')).toEqual(manifest.classNames);
      const layers = JSON.parse(model.properties['layers'] ?? '') as { name: string; shape: number[] }[];
      expect(layers.map(({ name }) => name)).toEqual(manifest.layers.map(({ name }) => name));
      expect(layers.at(-1)).toEqual({ name: 'probs', datatype: 'FP32', shape: [-1, manifest.classNames.length] });
    });

    test('takes a number, an alias, an id and its beginning as a version', async () => {
      const expected = await readTensors(await sendRaw(pixels));
      const { modelId } = manifest;
      for (const version of ['0', 'champion', modelId, modelId.slice(0, 8)]) {
        const path = `/v2/models/resnet18/versions/${version}`;
        expect(await readTensors(await sendRaw(pixels, `${path}/infer`)), version).toEqual(expected);
        expect(await (await send(`${path}/ready`)).json()).toEqual({ name: 'resnet18', ready: true });
        const answer = await readAnswer(await sendJson({}, `${path}/infer`), oipInferenceResponseSchema);
        expect(answer.model_version).toBe(version.length < 8 || version === 'champion' ? '0' : modelId);
      }
      const shipped = await readAnswer(await send('/v2/models/resnet18/versions/shipped'), oipModelSchema);
      expect(shipped.properties['model_id']).toMatch(/^[0-9a-f]{64}$/);
    });

    test.each(['1', '00', 'previous', 'resnet18', '0'.repeat(64), 'abcdef', '-1', 'x%2f..'])(
      'has no version %s',
      async (version) => {
        const error = await readError(await send(`/v2/models/resnet18/versions/${version}`), 404);
        expect(error).toMatch(/its versions are 0; champion, previous, shipped/);
      },
    );

    test('says which models there are', async () => {
      expect(await readError(await send('/v2/models/nobody'), 404)).toBe(
        'there is no model "nobody"; the models are resnet18',
      );
      expect(await (await send('/v2/models')).json()).toEqual({ models: ['resnet18'] });
      const index = await send('/v2/repository/index', { method: 'POST', body: '{"ready":true}' });
      expect(await index.json()).toEqual([{ name: 'resnet18', version: '0', state: 'READY', reason: '' }]);
      const wrong = await send('/v2/repository/index', { method: 'POST', body: '{"ready":1}' });
      expect(await readError(wrong, 400)).toBe('ready is 1; true or false is expected');
    });

    test('refuses 300 in UINT8 and says where it is', async () => {
      const data = [...pixels];
      data[7] = 300;
      expect(await readError(await sendJson({ inputs: [inputOf(1, data)] }), 400)).toBe(
        'data of input "image" has 300 at place 7; UINT8 takes 0 to 255',
      );
    });

    test('takes a full batch and refuses a larger one', async () => {
      const { batch } = OIP_LIMITS;
      const full = new Uint8Array(batch * pixels.length);
      const tensors = await readTensors(await sendRaw(full));
      expect(tensors.get('logits')?.length).toBe(batch * manifest.classNames.length);
      const over = await sendRaw(new Uint8Array((batch + 1) * pixels.length));
      expect(await readError(over, 400)).toBe(`got a batch of ${batch + 1} images; 1 to ${batch} are expected`);
      expect(await readError(await sendRaw(new Uint8Array(pixels.length + 1)), 400)).toMatch(/bytes/);
      expect(await readError(await sendRaw(new Uint8Array()), 400)).toMatch(/the body has 0 bytes/);
    });

    test('takes null where a field may be missing, and fields that the protocol does not have', async () => {
      const inputs = [{ ...inputOf(1), parameters: null, other: [] }];
      const response = await sendJson({ id: null, parameters: null, outputs: null, model_name: 'x', inputs });
      expect(await readAnswer(response, oipInferenceResponseSchema)).not.toHaveProperty('id');
    });

    test('refuses parameters that would change what the answer means', async () => {
      const outputs = [{ name: 'logits', parameters: { classification: 3 } }];
      expect(await readError(await sendJson({ outputs }), 400)).toMatch(/classification is of an extension/);
    });

    test.each(['gzip', 'deflate'] as const)('reads a body in %s', async (encoding) => {
      const packed = new Blob([pixels]).stream().pipeThrough(new CompressionStream(encoding));
      const body = await new Response(packed).arrayBuffer();
      const init = { method: 'POST', headers: { [HEADER_LENGTH]: '0', 'content-encoding': encoding } };
      const tensors = await readTensors(await send(INFER, { ...init, body }));
      expect(tensors.get('logits')).toEqual(Float32Array.from(logits));
      const broken = await send(INFER, { ...init, body: body.slice(0, -9) });
      expect(await readError(broken, 400)).toBe(`the body is not the ${encoding} that its header announces`);
    });

    test('says which encodings it reads', async () => {
      const headers = { 'content-encoding': 'br' };
      const response = await send(INFER, { method: 'POST', headers, body: 'x' });
      expect(response.headers.get('accept-encoding')).toBe('gzip, deflate');
      expect(await readError(response, 415)).toMatch(/got content encoding "br"/);
    });

    test('counts a body while it arrives', async () => {
      let sentBytes = 0;
      const endless = new ReadableStream<Uint8Array>({
        pull(controller) {
          if (sentBytes > 1024 * 1024 * 1024) return controller.close();
          sentBytes += 65_536;
          controller.enqueue(new Uint8Array(65_536));
        },
      });
      const request: RequestInit & { duplex: 'half' } = { method: 'POST', body: endless, duplex: 'half' };
      const error = await readError(await send(INFER, request), 413);
      expect(error).toMatch(new RegExp(`got more than ${OIP_LIMITS.bodyBytes} bytes`));
      expect(sentBytes).toBeLessThan(64 * 1024 * 1024);
    });

    test('answers with its own error body wherever a path begins with /v2, and with problems elsewhere', async () => {
      expect(await readError(await send('/v2/nothing'), 404)).toMatch(/there is nothing at \/v2\/nothing/);
      const method = await send(INFER, { method: 'DELETE' });
      expect(method.headers.get('allow')).toBe('POST');
      expect(await readError(method, 405)).toMatch(/does not have the method DELETE/);
      const elsewhere = await send('/v2x');
      expect(elsewhere.headers.get('content-type')).toBe('application/problem+json');
      await elsewhere.body?.cancel();
      const trailing = await send('/v2/');
      expect(await trailing.json()).toMatchObject({ name: 'resnet18-edge', extensions: ['binary_tensor_data'] });
    });

    test('lets pages of other origins send tensors', async () => {
      const preflight = await send(INFER, { method: 'OPTIONS' });
      expect(preflight.headers.get('access-control-allow-headers')).toContain(HEADER_LENGTH);
      const answer = await sendRaw(pixels);
      expect(answer.headers.get('access-control-expose-headers')).toContain(HEADER_LENGTH);
      await answer.body?.cancel();
    });

    test('is described by /openapi.json', async () => {
      const { paths } = (await (await send('/openapi.json')).json()) as { paths: Record<string, object> };
      expect(Object.keys(paths).filter((path) => path.startsWith('/v2'))).toEqual([
        '/v2',
        '/v2/health/live',
        '/v2/health/ready',
        '/v2/models',
        '/v2/models/{name}',
        '/v2/models/{name}/ready',
        '/v2/models/{name}/infer',
        '/v2/models/{name}/versions/{version}',
        '/v2/models/{name}/versions/{version}/ready',
        '/v2/models/{name}/versions/{version}/infer',
        '/v2/repository/index',
      ]);
    });
  });
}
