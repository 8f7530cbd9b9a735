/** The public surface of the server: a route that comes, goes or moves is seen here. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { createApp } from '../../serve/app.ts';
import { createBrokenModels } from '../support/broken-models.ts';

const unused = (): Promise<never> => Promise.reject(new Error('not used here'));
const app = createApp({
  models: createBrokenModels(unused),
  decoder: { use: unused, decode: unused },
  evaluation: { images: 1, bytes: 1, running: 1 },
  samples: { list: unused, read: unused },
  keepAlive: () => undefined,
  reportError: () => undefined,
  page: { answer: unused },
});
const ROUTES = [
  'GET /activations',
  'GET /activations/:layer',
  'GET /docs',
  'GET /evaluation',
  'GET /explain',
  'GET /healthz',
  'GET /models',
  'GET /models/:a/compare/:b',
  'GET /models/:id',
  'GET /models/:id/evaluation',
  'GET /models/history',
  'GET /openapi.json',
  'GET /readyz',
  'GET /samples',
  'GET /v2',
  'GET /v2/',
  'GET /v2/health/live',
  'GET /v2/health/ready',
  'GET /v2/models',
  'GET /v2/models/:name',
  'GET /v2/models/:name/ready',
  'GET /v2/models/:name/versions/:version',
  'GET /v2/models/:name/versions/:version/ready',
  'POST /activations/:layer',
  'POST /classify',
  'POST /classify/json',
  'POST /evaluate',
  'POST /explain',
  'POST /v2/models/:name/infer',
  'POST /v2/models/:name/versions/:version/infer',
  'POST /v2/repository/index',
];

test('the server has these routes and no others', () => {
  const routes = app.routes.filter(({ method }) => method !== 'ALL').map(({ method, path }) => `${method} ${path}`);
  expect([...new Set(routes)].toSorted()).toEqual(ROUTES);
});

test('on Workers each of them, and every file, goes to the Worker first', () => {
  const lines = readFileSync('wrangler.toml', 'utf8').split('\n');
  expect(lines).toContain('run_worker_first = true');
  expect(lines).toContain('html_handling = "none"');
});
