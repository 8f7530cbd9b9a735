/** The API's document, in what its readers stumbled over: a fuzzer that sends what it allows, and generators of clients. */
import { expect, test } from 'vitest';
import { z } from 'zod';
import { createApp } from '../../../serve/app.ts';
import { createBrokenModels } from '../../support/broken-models.ts';

const unused = (): Promise<never> => Promise.reject(new Error('not used here'));
const app = createApp({
  models: createBrokenModels(unused),
  evaluation: { images: 1, bytes: 1, running: 1 },
  samples: { list: unused, read: unused },
  keepAlive: () => undefined,
  reportError: () => undefined,
  page: { answer: unused },
});
const operationSchema = z.looseObject({
  parameters: z.array(z.looseObject({ name: z.string(), in: z.string() })).optional(),
  responses: z.record(z.string(), z.unknown()),
});
const documentSchema = z.object({
  paths: z.record(z.string(), z.record(z.string(), operationSchema)),
  components: z.object({
    schemas: z.record(z.string(), z.looseObject({ properties: z.record(z.string(), z.unknown()).optional() })),
  }),
});
const text = await (await app.request('/openapi.json')).text();
const { paths, components } = documentSchema.parse(JSON.parse(text));

test('a list of a fixed length says so in words that every reader knows', () => {
  expect(text).not.toContain('prefixItems');
  expect(components.schemas['ModelComparison']?.properties?.['agreement']).toMatchObject({
    properties: { interval: { type: 'array', items: { type: 'number' }, minItems: 2, maxItems: 2 } },
  });
});

test('every route whose answer has several forms says that it may have none that is wanted', () => {
  for (const [path, method] of [
    ['/activations/{layer}', 'get'],
    ['/activations/{layer}', 'post'],
    ['/explain', 'get'],
    ['/explain', 'post'],
    ['/evaluate', 'post'],
  ] as const) {
    expect(Object.keys(paths[path]?.[method]?.responses ?? {}), `${method} ${path}`).toContain('406');
  }
});

test('an inference says how its bytes are announced, and that what is not given may be null', () => {
  for (const path of ['/v2/models/{name}/infer', '/v2/models/{name}/versions/{version}/infer']) {
    expect(paths[path]?.['post']?.parameters).toContainEqual(
      expect.objectContaining({ name: 'inference-header-content-length', in: 'header', required: false }),
    );
  }
  expect(components.schemas['OipIndexRequest']?.properties?.['ready']).toEqual({ type: ['boolean', 'null'] });
});
