/** Every error that a caller of the API can cause, as requests: one table, complete over the codes. */
import { describe, expect, test } from 'vitest';
import { API_LIMITS } from '../../shared/api.ts';
import { REQUEST_ERROR_CODES, type RequestErrorCode } from '../../shared/errors.ts';
import { classify, drawPicture, findRefused, formOf, readProblem, type Send } from './api-client.ts';

interface ErrorCase {
  name: string;
  code: RequestErrorCode;
  status: number;
  path: string;
  /** Default: a GET. */
  body?: () => BodyInit | Promise<BodyInit>;
  headers?: Record<string, string>;
  method?: string;
  /** What the message must name. */
  says?: RegExp;
}

const JSON_TYPE = { 'content-type': 'application/json' };
const bytes = (length: number): Uint8Array<ArrayBuffer> => new Uint8Array(length);
const picture = () => drawPicture({ width: 20, height: 12 });

const CASES: ErrorCase[] = [
  { name: 'no body', code: 'request/empty', status: 400, path: '/classify', body: () => bytes(0) },
  { name: 'a form without files', code: 'request/empty', status: 400, path: '/classify', body: emptyForm },
  { name: 'text', code: 'image/unknown-type', status: 415, path: '/classify', body: () => 'hello' },
  {
    name: 'a damaged PNG',
    code: 'image/corrupt',
    status: 422,
    path: '/classify',
    body: () => findRefused('PNG with a wrong chunk checksum'),
  },
  {
    name: 'half a JPEG',
    code: 'image/truncated',
    status: 422,
    path: '/classify',
    body: () => findRefused('JPEG cut in its image data'),
  },
  {
    name: 'JSON at the place of a picture',
    code: 'image/unknown-type',
    status: 415,
    path: '/classify',
    body: () => '{"image": "aGVsbG8="}',
    says: /got a JSON text; .*classify\/json/,
  },
  {
    name: 'a CMYK JPEG',
    code: 'image/unsupported',
    status: 415,
    path: '/classify',
    body: () => findRefused('JPEG in CMYK'),
  },
  {
    name: 'a PNG that claims 60000 x 60000',
    code: 'image/too-many-pixels',
    status: 413,
    path: '/classify',
    body: () => findRefused('PNG of 60000 x 60000'),
  },
  {
    name: 'one byte over the limit',
    code: 'image/too-large',
    status: 413,
    path: '/classify',
    body: () => bytes(API_LIMITS.bytesPerImage + 1),
  },
  { name: 'a form over the limit', code: 'request/too-large', status: 413, path: '/classify', body: tooLargeForm },
  {
    name: '33 files',
    code: 'request/too-many-files',
    status: 413,
    path: '/classify',
    body: tooManyFiles,
    says: /33 files; at most 32/,
  },
  {
    name: 'two files for one layer',
    code: 'request/too-many-files',
    status: 413,
    path: '/activations/layer1',
    body: () =>
      formOf([
        { name: 'a', bytes: bytes(1) },
        { name: 'b', bytes: bytes(1) },
      ]),
  },
  {
    name: 'a form that is none',
    code: 'request/malformed-multipart',
    status: 400,
    path: '/classify',
    body: () => 'no form',
    headers: { 'content-type': 'multipart/form-data; boundary=x' },
  },
  {
    name: 'a form without boundary',
    code: 'request/malformed-multipart',
    status: 400,
    path: '/classify',
    body: () => '--x\r\n',
    headers: { 'content-type': 'multipart/form-data' },
  },
  {
    name: 'a form that is cut off',
    code: 'request/malformed-multipart',
    status: 400,
    path: '/classify',
    body: () => '--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nabc',
    headers: { 'content-type': 'multipart/form-data; boundary=x' },
  },
  {
    name: 'a form with a text field',
    code: 'request/invalid',
    status: 400,
    path: '/classify',
    body: textForm,
    says: /"note" is text/,
  },
  { name: 'top_k=0', code: 'request/invalid', status: 400, path: '/classify?top_k=0', body: picture, says: /top_k/ },
  {
    name: 'top_k above the classes',
    code: 'request/invalid',
    status: 400,
    path: '/classify?top_k=11',
    body: picture,
    says: /top_k is 11; the model has \d+ classes/,
  },
  {
    name: 'top_k twice',
    code: 'request/invalid',
    status: 400,
    path: '/classify?top_k=1&top_k=2',
    body: picture,
    says: /the query gives top_k 2 times; give it once/,
  },
  {
    name: 'an unknown parameter',
    code: 'request/invalid',
    status: 400,
    path: '/classify?topk=3',
    body: picture,
    says: /"topk" is not known; only top_k, format, model, channel is expected/,
  },
  {
    name: 'a parameter where none is',
    code: 'request/invalid',
    status: 400,
    path: '/samples?x=1',
    says: /"x" is not known; nothing is/,
  },
  {
    name: 'JSON with another field',
    code: 'request/invalid',
    status: 400,
    path: '/classify/json',
    body: () => '{"image":"AAAA","url":"x"}',
    headers: JSON_TYPE,
    says: /"url" is not known; only image is expected/,
  },
  {
    name: 'JSON without the image',
    code: 'request/invalid',
    status: 400,
    path: '/classify/json',
    body: () => '{}',
    headers: JSON_TYPE,
    says: /image: is missing; a string is expected/,
  },
  {
    name: 'half a JSON',
    code: 'request/malformed-json',
    status: 400,
    path: '/classify/json',
    body: () => '{"image":',
    headers: JSON_TYPE,
  },
  {
    name: 'JSON as another type',
    code: 'request/unsupported-media-type',
    status: 415,
    path: '/classify/json',
    body: () => '{}',
    headers: { 'content-type': 'text/plain' },
  },
  {
    name: 'a JSON over the limit',
    code: 'request/too-large',
    status: 413,
    path: '/classify/json',
    body: () => `{"image":"${'A'.repeat(12_000_000)}"}`,
    headers: JSON_TYPE,
  },
  {
    name: 'no base64',
    code: 'image/base64',
    status: 400,
    path: '/classify/json',
    body: () => '{"image":"%%%%"}',
    headers: JSON_TYPE,
  },
  {
    name: 'a data URL of nothing',
    code: 'image/empty',
    status: 400,
    path: '/classify/json',
    body: () => '{"image":"data:image/png;base64,"}',
    headers: JSON_TYPE,
  },
  {
    name: 'a picture over the limit in base64',
    code: 'image/too-large',
    status: 413,
    path: '/classify/json',
    body: () => `{"image":"${'A'.repeat(11_184_816)}"}`,
    headers: JSON_TYPE,
  },
  {
    name: 'an unknown layer',
    code: 'layer/unknown',
    status: 404,
    path: '/activations/layer9',
    says: /layer1\.0\.conv1/,
  },
  { name: 'a layer that objects inherit', code: 'layer/unknown', status: 404, path: '/activations/constructor' },
  {
    name: 'an unknown layer for a picture',
    code: 'layer/unknown',
    status: 404,
    path: '/activations/layer9',
    body: picture,
  },
  { name: 'a token that is none', code: 'token/invalid', status: 400, path: '/activations/layer1?input=abc' },
  { name: 'an empty token', code: 'token/invalid', status: 400, path: '/activations/layer1?input=' },
  {
    name: 'an unknown sample',
    code: 'sample/unknown',
    status: 404,
    path: '/activations/layer1?sample=unicorn',
    says: /automobile-red/,
  },
  {
    name: 'input and sample',
    code: 'request/invalid',
    status: 400,
    path: '/activations/layer1?sample=automobile-red&input=abc',
  },
  {
    name: 'an unknown format',
    code: 'request/invalid',
    status: 400,
    path: '/activations/layer1?format=gif',
    says: /format/,
  },
  { name: 'values of a PNG', code: 'request/invalid', status: 400, path: '/activations/layer1?format=png&values=true' },
  { name: 'the range of statistics', code: 'request/invalid', status: 400, path: '/activations/layer1?range=layer' },
  {
    name: 'the scale of numbers',
    code: 'request/invalid',
    status: 400,
    path: '/activations/layer1?format=npy&scale=2',
  },
  {
    name: 'scale=17',
    code: 'request/invalid',
    status: 400,
    path: '/activations/layer1?format=png&scale=17',
    says: /1 to 16/,
  },
  { name: 'top=0', code: 'request/invalid', status: 400, path: '/activations/layer1?top=0', says: /top/ },
  {
    name: 'words for channels',
    code: 'request/invalid',
    status: 400,
    path: '/activations/layer1?channels=all',
    says: /3,5,8-12/,
  },
  {
    name: 'a channel that the layer lacks',
    code: 'request/invalid',
    status: 400,
    path: '/activations/probs?channels=10',
    says: /the layer has the channels 0 to 9/,
  },
  {
    name: 'an atlas of features',
    code: 'request/invalid',
    status: 400,
    path: '/activations/probs?format=atlas',
    says: /format=npy or json/,
  },
  {
    name: 'a form that no answer has',
    code: 'request/not-acceptable',
    status: 406,
    path: '/activations/layer1',
    headers: { accept: 'image/jpeg' },
    says: /application\/x-npy/,
  },
  {
    name: 'a list for a form',
    code: 'request/invalid',
    status: 400,
    path: '/classify?format=list',
    body: () => formOf([{ name: 'a', bytes: bytes(1) }]),
    says: /one picture/,
  },
  {
    name: 'an unknown class',
    code: 'class/unknown',
    status: 404,
    path: '/explain?class=unicorn',
    says: /the classes are .*, or 0 to \d+/,
  },
  { name: 'an unknown model', code: 'model/unknown', status: 404, path: '/models/nobody' },
  { name: 'a beginning of an id that is too short', code: 'model/unknown', status: 404, path: '/models/0' },
  {
    name: 'an id of no model',
    code: 'model/unknown',
    status: 404,
    path: `/activations?model=${'0'.repeat(64)}`,
    says: /one of champion, previous, shipped, resnet18 is expected/,
  },
  { name: 'a model of a path', code: 'model/unknown', status: 404, path: '/activations/layer1?model=../../etc' },
  {
    name: 'an unknown model to classify',
    code: 'model/unknown',
    status: 404,
    path: '/classify?model=x',
    body: picture,
  },
  {
    name: 'an unknown channel',
    code: 'channel/unknown',
    status: 404,
    path: '/activations?channel=canary',
    says: /the channels are resnet18/,
  },
  { name: 'a channel of a path', code: 'channel/unknown', status: 404, path: '/models?channel=../resnet18' },
  {
    name: 'model and channel',
    code: 'request/invalid',
    status: 400,
    path: '/activations?model=champion&channel=resnet18',
    says: /got model and channel/,
  },
  { name: 'an unknown path', code: 'route/unknown', status: 404, path: '/nothing/here' },
  { name: 'a file of no model', code: 'route/unknown', status: 404, path: '/models/x/y' },
  { name: 'the page without its ending', code: 'route/unknown', status: 404, path: '/index' },
  { name: 'a preflight of nothing', code: 'route/unknown', status: 404, path: '/nothing/here', method: 'OPTIONS' },
  { name: 'a form for the page', code: 'route/method', status: 405, path: '/', body: picture, says: /GET, HEAD/ },
  { name: 'another file', code: 'route/method', status: 405, path: '/favicon.svg', method: 'PUT', body: picture },
  { name: 'a path with a slash too much', code: 'route/unknown', status: 404, path: '/classify/' },
  {
    name: 'a method that a path lacks',
    code: 'route/method',
    status: 405,
    path: '/classify',
    method: 'PUT',
    body: picture,
  },
  {
    name: 'a URL over the limit',
    code: 'request/url-too-long',
    status: 414,
    path: `/activations/layer1?input=${'A'.repeat(API_LIMITS.urlLength)}`,
    says: /at most 16384 are expected/,
  },
  {
    name: 'lists 100,000 deep',
    code: 'request/too-complex',
    status: 400,
    path: '/classify/json',
    body: () => '['.repeat(100_000) + ']'.repeat(100_000),
    headers: JSON_TYPE,
    says: /nested more than 32 deep/,
  },
  {
    name: 'objects 100,000 deep in a field that is there',
    code: 'request/too-complex',
    status: 400,
    path: '/classify/json',
    body: () => `{"image":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}}`,
    headers: JSON_TYPE,
  },
  {
    name: 'a million empty objects',
    code: 'request/too-complex',
    status: 400,
    path: '/classify/json',
    body: () => `{"image":[${'{},'.repeat(1_000_000)}{}]}`,
    headers: JSON_TYPE,
    says: /of more than 262144 lists and objects/,
  },
  {
    name: 'an object of a million fields',
    code: 'request/too-complex',
    status: 400,
    path: '/classify/json',
    body: () => `{${Array.from({ length: 1_000_000 }, (_, index) => `"${index}":1`).join(',')}}`,
    headers: JSON_TYPE,
    says: /of more than 4096 fields/,
  },
  {
    name: 'a form of 100,000 empty files',
    code: 'request/too-many-files',
    status: 413,
    path: '/classify',
    body: manyEmptyFiles,
    headers: { 'content-type': 'multipart/form-data; boundary=x' },
    says: /a form of more than 48 parts/,
  },
  {
    name: 'a form of 100,000 empty files to evaluate',
    code: 'request/too-many-files',
    status: 413,
    path: '/evaluate',
    body: manyEmptyFiles,
    headers: { 'content-type': 'multipart/form-data; boundary=x' },
    says: /a form of more than \d+ parts/,
  },
  { name: 'a body that breaks off', code: 'request/aborted', status: 400, path: '/classify' },
];

/** What depends on the model, on a setting of the operator, or on the bytes of a connection. */
const TESTED_ELSEWHERE: readonly RequestErrorCode[] = [
  'explain/unsupported',
  'request/unauthorized',
  'request/rate-limited',
  'request/timeout',
  'request/malformed',
  'request/headers-too-large',
];

/** `sendBroken` sends a body that breaks off; over a real connection nobody is left to read the answer. */
export function describeApiErrors(
  platform: string,
  { send, sendBroken }: { send: Send; sendBroken: () => Promise<Response> },
) {
  describe(`errors of the API on ${platform}`, () => {
    test('every code of a request error has a case', () => {
      const cases = new Set<RequestErrorCode>([...CASES.map(({ code }) => code), ...TESTED_ELSEWHERE]);
      expect(cases).toEqual(new Set(REQUEST_ERROR_CODES));
    });

    test.each(CASES)(
      '$name is answered with $status $code',
      async ({ code, status, path, body, headers, method, says }) => {
        const response =
          code === 'request/aborted'
            ? await sendBroken()
            : await send(path, {
                method: method ?? (body === undefined ? 'GET' : 'POST'),
                ...(body === undefined ? {} : { body: await body() }),
                ...(headers === undefined ? {} : { headers }),
              });
        const problem = await readProblem(response);
        expect(problem).toMatchObject({ code, status, type: `/docs#${code}` });
        expect(response.headers.get('x-content-type-options')).toBe('nosniff');
        expect(response.headers.get('access-control-allow-origin')).toBe('*');
        expect(response.headers.get('referrer-policy')).toBe('no-referrer');
        expect(problem.requestId).toBe(response.headers.get('x-request-id'));
        expect(problem.requestId).toMatch(/^[\w-]{36}$/);
        if (says !== undefined) expect(problem.detail).toMatch(says);
      },
    );

    test('facts about an error are there for machines', async () => {
      const layer = await readProblem(await send('/activations/nowhere'));
      expect(layer.details?.['layers']).toContain('layer1');
      const sample = await readProblem(await send('/activations/layer1?sample=unicorn'));
      expect(sample.details?.['samples']).toContain('cat-ginger');
      const model = await readProblem(await send('/activations?model=nobody'));
      expect(model.details?.['aliases']).toContain('champion');
      expect(model.details?.['models']).toContainEqual(expect.stringMatching(/^[0-9a-f]{64}$/));
      const channel = await readProblem(await send('/models/history?channel=nobody'));
      expect(channel.details?.['channels']).toEqual(['resnet18']);
      const parameter = await readProblem(await send('/samples?colour=red'));
      expect(parameter.details?.['issues']).toMatchObject([{ message: expect.stringContaining('colour') }]);
    });

    test('a body is counted while it arrives, whatever length it claims', async () => {
      let sentBytes = 0;
      const endless = new ReadableStream<Uint8Array>({
        pull(controller) {
          if (sentBytes > 1024 * 1024 * 1024) return controller.close();
          sentBytes += 65_536;
          controller.enqueue(bytes(65_536));
        },
      });
      const request: RequestInit & { duplex: 'half' } = { method: 'POST', body: endless, duplex: 'half' };
      const problem = await readProblem(await send('/classify', request));
      expect(problem.code).toBe('image/too-large');
      // Some of it is on the way when the answer comes, and some is taken and dropped.
      expect(sentBytes).toBeLessThan(64 * 1024 * 1024);
    });

    test('a good picture is answered after all of them', async () => {
      const { predictions } = await classify(send, await picture());
      expect(predictions.length).toBeGreaterThan(1);
    });
  });
}

function emptyForm(): FormData {
  return new FormData();
}

function tooLargeForm(): FormData {
  const file = { name: 'zeros', bytes: bytes(API_LIMITS.bytesPerImage) };
  return formOf([file, file, file, file]);
}

function tooManyFiles(): FormData {
  return formOf(
    Array.from({ length: API_LIMITS.filesPerRequest + 1 }, (_, index) => ({ name: `${index}`, bytes: bytes(1) })),
  );
}

function manyEmptyFiles(): string {
  return '--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n\r\n'.repeat(100_000) + '--x--\r\n';
}

function textForm(): FormData {
  const form = formOf([{ name: 'a.png', bytes: bytes(1) }]);
  form.append('note', 'hello');
  return form;
}
