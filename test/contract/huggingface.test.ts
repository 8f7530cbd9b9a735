/** A client that knows nothing of this server: Hugging Face's own, told another URL. */
import { readFile } from 'node:fs/promises';
import { imageClassification, InferenceClient } from '@huggingface/inference';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startServer, type RunningServer } from '../../serve/node/server.ts';
import { Client } from '../../shared/client/entry.ts';

let server: RunningServer;
let endpointUrl: string;
let picture: Blob;

beforeAll(async () => {
  const options = { host: '127.0.0.1', port: 0, store: 'no-such-folder', page: 'web/dist' };
  server = await startServer({ ...options, reportError: (error) => expect.fail(String(error)) });
  await server.ready;
  endpointUrl = `${server.url}/classify?format=list`;
  picture = new Blob([await readFile('web/public/samples/cat-ginger.png')], { type: 'image/png' });
});
afterAll(() => server.close());

test('imageClassification of @huggingface/inference gets the classes from /classify?format=list', async () => {
  const { predictions } = await new Client(server.url).classify(picture);
  const expected = predictions.map(({ label, score }) => ({ label, score }));
  expect(expected[0]?.label).toBe('cat');
  expect(await imageClassification({ endpointUrl, data: picture })).toEqual(expected);
  expect(await new InferenceClient('hf_token').endpoint(endpointUrl).imageClassification({ data: picture })).toEqual(
    expected,
  );
});

test('its errors carry the status and the words of the problem', async () => {
  const failing = imageClassification({ endpointUrl, data: new Blob(['text']) });
  await expect(failing).rejects.toMatchObject({
    name: 'ProviderApiError',
    httpResponse: { status: 415, body: expect.objectContaining({ code: 'image/unknown-type' }) as object },
  });
});
