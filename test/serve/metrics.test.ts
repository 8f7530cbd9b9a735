/** What the server on Node counts and writes down, read by Prometheus' own parser where that is installed. */
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { startServer, type RunningServer } from '../../serve/node/server.ts';
import { createRegistry } from '../../serve/observation/prometheus.ts';
import { classify, drawPicture, findRefused, formOf, readProblem, type Send } from '../contract/api-client.ts';
import { describeUnlessMissing } from '../support/requirements.ts';
import { makeSharedFolder } from '../support/temporary-folder.ts';
import { tinyArchitecture, writeTinyStore } from '../support/tiny-model.ts';

let server: RunningServer;
let modelId: string;
const lines: string[] = [];

beforeAll(async () => {
  const store = await makeSharedFolder();
  ({ modelId } = await writeTinyStore(store, { architecture: tinyArchitecture({ classes: 10 }) }));
  server = await startServer({
    host: '127.0.0.1',
    port: 0,
    store,
    page: 'web/dist',
    reportError: () => undefined,
    log: (line) => lines.push(line),
  });
  await server.ready;
});
afterAll(() => server.close());

const send: Send = (path, init) => fetch(new URL(path, server.url), init);

/** By name and labels, as they are written. */
async function readMetrics(): Promise<Map<string, number>> {
  const response = await send('/metrics');
  expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(response.headers.get('cache-control')).toBe('no-store');
  const samples = (await response.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    samples.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

describe('GET /metrics', () => {
  test('counts requests by route pattern and status, pictures that were refused, and the runs of the model', async () => {
    const before = await readMetrics();
    const grown = async (name: string): Promise<number> =>
      ((await readMetrics()).get(name) ?? 0) - (before.get(name) ?? 0);
    const picture = await drawPicture({ width: 9, height: 9 });
    for (let round = 0; round < 3; round++) await classify(send, picture);
    await readProblem(await send('/classify', { method: 'POST', body: findRefused('JPEG in CMYK') }));
    const files = [picture, findRefused('JPEG in CMYK'), new Uint8Array(9)].map((bytes) => ({ name: 'a', bytes }));
    await (await send('/classify', { method: 'POST', body: formOf(files) })).arrayBuffer();
    for (const id of ['champion', 'shipped', 'nobody', 'nobody-else'])
      await (await send(`/models/${id}`)).arrayBuffer();
    await (await send('/favicon.svg')).arrayBuffer();
    await (await send('/wp-login.php')).arrayBuffer();

    const requests = (labels: string) => grown(`http_request_duration_seconds_count{${labels}}`);
    expect(await requests('method="POST",route="/classify",status="200"')).toBe(4);
    expect(await requests('method="POST",route="/classify",status="415"')).toBe(1);
    expect(await requests('method="GET",route="/models/:id",status="200"')).toBe(2);
    expect(await requests('method="GET",route="/models/:id",status="404"')).toBe(2);
    expect(await requests('method="GET",route="(file)",status="200"')).toBe(1);
    expect(await requests('method="GET",route="(none)",status="404"')).toBe(1);
    expect(await grown('resnet_decode_failures_total{code="image/unsupported"}')).toBe(2);
    expect(await grown('resnet_decode_failures_total{code="image/unknown-type"}')).toBe(1);
    expect(await grown('resnet_problems_total{code="image/unsupported"}')).toBe(1);
    expect(await grown('resnet_problems_total{code="model/unknown"}')).toBe(2);
    expect(await grown('resnet_inference_seconds_count')).toBe(4);
    expect(await grown('resnet_inference_seconds_sum')).toBeGreaterThan(0);
    expect(await grown('resnet_queue_seconds_count')).toBe(4);
    const metrics = await readMetrics();
    expect(metrics.get(`resnet_model_info{model_id="${modelId}",channel="resnet18",seq="0"}`)).toBe(1);
    expect(metrics.get('http_requests_in_flight')).toBe(1);
    expect(metrics.get('process_resident_memory_bytes')).toBeGreaterThan(10_000_000);
    expect([...metrics.keys()].join()).not.toMatch(/nobody|wp-login/);
  });

  test('does not count the decoding of a picture as a run of the model', async () => {
    const store = await makeSharedFolder();
    const { modelId: id } = await writeTinyStore(store);
    const logged: unknown[] = [];
    const other = await startServer({
      host: '127.0.0.1',
      port: 0,
      store,
      page: 'web/dist',
      reportError: (error) => logged.push(error),
    });
    onTestFinished(() => other.close());
    await other.ready;
    const read = async (): Promise<string> => (await fetch(`${other.url}/metrics`)).text();
    const body = await drawPicture({ width: 9, height: 9 });
    await (await fetch(`${other.url}/explain`, { method: 'POST', body })).arrayBuffer();
    const { runs } = other.inference.read();
    const metrics = await read();
    const [, counted] = /^resnet_inference_seconds_count (\d+)$/m.exec(metrics) ?? [];
    expect(Number(counted)).toBe(runs - 1);
    expect(metrics).toContain(`model_id="${id}"`);
  });

  test('has no metrics where the operator has switched them off', async () => {
    const options = { host: '127.0.0.1', port: 0, store: 'serve/models', page: 'web/dist', hasMetrics: false };
    const other = await startServer({ ...options, reportError: () => undefined });
    const problem = await readProblem(await fetch(`${other.url}/metrics`));
    expect(problem).toMatchObject({ status: 404, code: 'server/no-metrics' });
    await other.close();
  });
});

describe('the text of a registry', () => {
  test('adds up buckets, and escapes what labels and texts may hold', async () => {
    const registry = createRegistry();
    const histogram = registry.histogram({ name: 'a_seconds', help: 'One\nline with \\.', buckets: [0.1, 1] });
    for (const value of [0.05, 0.1, 0.5, 3]) histogram.observe(value, { kind: 'q"\\\n' });
    registry.watch({ name: 'b', help: 'Read now.', read: () => Promise.resolve(2.5) });
    expect(await registry.write()).toBe(
      [
        String.raw`# HELP a_seconds One\nline with \\.`,
        '# TYPE a_seconds histogram',
        String.raw`a_seconds_bucket{kind="q\"\\\n",le="0.1"} 2`,
        String.raw`a_seconds_bucket{kind="q\"\\\n",le="1"} 3`,
        String.raw`a_seconds_bucket{kind="q\"\\\n",le="+Inf"} 4`,
        String.raw`a_seconds_sum{kind="q\"\\\n"} 3.65`,
        String.raw`a_seconds_count{kind="q\"\\\n"} 4`,
        '# HELP b Read now.',
        '# TYPE b gauge',
        'b 2.5',
        '',
      ].join('\n'),
    );
  });
});

describe('the log', () => {
  test('has one line for each request, with its id, route, status, time and model', async () => {
    lines.length = 0;
    const body = await drawPicture({ width: 9, height: 9 });
    await (await send('/classify', { method: 'POST', body, headers: { 'x-request-id': 'first' } })).arrayBuffer();
    await (await send('/explain?class=unicorn&input=secret', { headers: { 'x-request-id': 'second' } })).arrayBuffer();
    const [first, second] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(first).toEqual({
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      level: 'info',
      message: 'request',
      requestId: 'first',
      method: 'POST',
      route: '/classify',
      status: 200,
      modelId,
      durationMs: expect.any(Number),
    });
    expect(first?.['durationMs']).toBeGreaterThan(0);
    expect(second).toMatchObject({ requestId: 'second', route: '/explain', status: 400, code: 'token/invalid' });
    expect(lines.length).toBe(2);
    // A token is a picture.
    expect(lines.join()).not.toContain('secret');
  });

  test('has an evaluation when it has ended, with the time of all of it and the problem that ended it', async () => {
    lines.length = 0;
    const good = JSON.stringify({
      image: Buffer.from(await drawPicture({ width: 8, height: 8 })).toString('base64'),
      label: 1,
    });
    const response = await send('/evaluate', {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson', 'x-request-id': 'evaluation' },
      body: `${good}\n{"image":"!","label":1}\n`,
    });
    const events = (await response.text()).trimEnd().split('\n');
    expect(events.at(-1)).toContain('"requestId":"evaluation"');
    await expect.poll(() => lines.length).toBe(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ status: 200, code: 'image/base64', requestId: 'evaluation' });
  });
});

const PYTHON = process.env['PYTHON'] || 'python3';
const PARSE = `
import json, sys
from prometheus_client.parser import text_string_to_metric_families as parse
families = list(parse(sys.stdin.read()))
print(json.dumps([{"name": f.name, "type": f.type, "samples": len(f.samples)} for f in families]))
`;

function findMissing(): string | undefined {
  try {
    execFileSync(PYTHON, ['-c', 'import prometheus_client'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return `no Python package prometheus_client; run: ${PYTHON} -m pip install prometheus-client, or set PYTHON`;
  }
}

describeUnlessMissing('the Python client of Prometheus', findMissing(), () => {
  test('reads every metric, with its type', async () => {
    await classify(send, await drawPicture({ width: 9, height: 9 }));
    const input = await (await send('/metrics')).text();
    const output = execFileSync(PYTHON, ['-c', PARSE], { input, encoding: 'utf8' });
    const schema = z.array(z.object({ name: z.string(), type: z.string(), samples: z.int() }));
    const families = new Map(schema.parse(JSON.parse(output)).map(({ name, ...rest }) => [name, rest]));
    expect(families.get('http_request_duration_seconds')?.type).toBe('histogram');
    expect(families.get('resnet_inference_seconds')).toEqual({ type: 'histogram', samples: 13 });
    expect(families.get('resnet_model_info')).toEqual({ type: 'gauge', samples: 1 });
    expect(families.get('process_cpu_seconds')?.type).toBe('counter');
  });
});
