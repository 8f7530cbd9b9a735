/** What an operator may switch on in wrangler.toml: its commented lines as they are there, in the real wrangler and workerd. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readProblem } from '../contract/api-client.ts';
import { makeSharedFolder } from '../support/temporary-folder.ts';
import { startWorker, type WorkerProcess } from '../support/worker-process.ts';

let worker: WorkerProcess;

beforeAll(async () => {
  const folder = await makeSharedFolder();
  const config = join(folder, 'wrangler.toml');
  writeFileSync(config, switchOn(readFileSync('wrangler.toml', 'utf8')));
  worker = await startWorker({ state: folder, config, vars: { LOG: 'json', CORS_ORIGINS: 'https://a.example' } });
}, 120_000);
afterAll(() => worker?.stop());

/** The lines of both tables without their `#`, with paths from anywhere, and a limit that a test can reach. */
function switchOn(text: string): string {
  const lines = text.split('\n').map((line) => line.replace(/^# (?=\[\[|\w+ = )/, ''));
  expect(lines).toContain('[[analytics_engine_datasets]]');
  expect(lines).toContain('[[ratelimits]]');
  return lines
    .join('\n')
    .replace('limit = 120', 'limit = 2')
    .replace('"serve/worker.ts"', JSON.stringify(resolve('serve/worker.ts')))
    .replace('"./web/dist"', JSON.stringify(resolve('web/dist')));
}

test('the limit of the binding is answered with 429, and leaves the rest alone', { timeout: 60_000 }, async () => {
  const ask = () => fetch(`${worker.url}/activations/probs`, { headers: { 'x-request-id': 'limited' } });
  const statuses = [];
  for (let round = 0; round < 3; round++) {
    const response = await ask();
    statuses.push(response.status);
    await response.arrayBuffer();
  }
  expect(statuses).toEqual([200, 200, 429]);
  const refused = await ask();
  expect(refused.headers.get('retry-after')).toBe('60');
  expect(await readProblem(refused)).toMatchObject({ code: 'request/rate-limited', requestId: 'limited' });
  expect((await fetch(`${worker.url}/healthz`)).status).toBe(200);
});

test('the variables of the operator are read', async () => {
  const origin = 'https://a.example';
  const response = await fetch(`${worker.url}/healthz`, { headers: { origin } });
  expect(response.headers.get('access-control-allow-origin')).toBe(origin);
  expect(response.headers.get('vary')).toMatch(/origin/i);
});

test('with LOG=json, each request is a line with its id, and without a time that the platform does not tell', async () => {
  await fetch(`${worker.url}/models/nobody`, { headers: { 'x-request-id': 'seen-in-the-log' } });
  await expect.poll(() => worker.output, { timeout: 10_000 }).toContain('seen-in-the-log');
  const [line = ''] = worker.output.match(/^\{.*seen-in-the-log.*\}$/m) ?? [];
  expect(JSON.parse(line)).toEqual({
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    level: 'info',
    message: 'request',
    requestId: 'seen-in-the-log',
    method: 'GET',
    route: '/models/:id',
    status: 404,
    code: 'model/unknown',
  });
});

test('a Worker shows no metrics', async () => {
  expect(await readProblem(await fetch(`${worker.url}/metrics`))).toMatchObject({
    status: 404,
    code: 'server/no-metrics',
  });
});
