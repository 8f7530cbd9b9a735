/** What an evaluation does to others: on a real Node server with the shipped model and, where they are, real pictures. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startServer, type RunningServer } from '../../serve/node/server.ts';
import { classificationSchema } from '../../shared/api.ts';
import { CIFAR10 } from '../../shared/cifar10.ts';
import { evaluationEventSchema } from '../../shared/evaluation-api.ts';
import { describeUnlessMissing } from '../support/requirements.ts';
import { makeSharedFolder } from '../support/temporary-folder.ts';

const folder = process.env['CIFAR10_DIR'] ?? '';
const missing = existsSync(join(folder, CIFAR10.testFile)) ? undefined : 'no CIFAR-10 files; set CIFAR10_DIR';
const HEADERS = { 'content-type': 'application/octet-stream' };

describeUnlessMissing('an evaluation of real test images', missing, () => {
  let server: RunningServer;
  const logged: unknown[] = [];
  let records: (first: number, count: number) => Uint8Array<ArrayBuffer>;

  beforeAll(async () => {
    const bytes = new Uint8Array(readFileSync(join(folder, CIFAR10.testFile)));
    const size = CIFAR10.recordBytes;
    records = (first, count) => bytes.slice(first * size, (first + count) * size);
    const options = {
      host: '127.0.0.1',
      port: 0,
      page: 'web/dist',
      reportError: (error: unknown) => logged.push(error),
    };
    server = await startServer({ ...options, store: await makeSharedFolder() });
    await server.ready;
  }, 300_000);
  afterAll(() => server.close());

  const start = (body: Uint8Array<ArrayBuffer>, signal?: AbortSignal): Promise<Response> =>
    fetch(new URL('/evaluate', server.url), { method: 'POST', body, headers: HEADERS, signal: signal ?? null });

  async function classifySample(): Promise<void> {
    const picture = readFileSync('web/dist/samples/automobile-red.png');
    const response = await fetch(new URL('/classify', server.url), { method: 'POST', body: new Uint8Array(picture) });
    const { predictions } = classificationSchema.parse(await response.json());
    expect(predictions[0]?.label).toBe('automobile');
  }

  test('has the accuracy that the model has, and lets /classify answer meanwhile', { timeout: 300_000 }, async () => {
    const response = await start(records(0, 30));
    let text = '';
    const order: string[] = [];
    const classified = classifySample().then(() => order.push('classified'));
    for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) text += chunk;
    order.push('evaluated');
    await classified;
    expect(order).toEqual(['classified', 'evaluated']);
    const result = evaluationEventSchema.parse(JSON.parse(text.trimEnd().split('\n').at(-1) ?? ''));
    if (result.type !== 'result') throw new Error(text);
    expect(result.report.n).toBe(30);
    expect(result.report.correct).toBeGreaterThanOrEqual(20);
  });

  test('ends when the caller leaves, so that others get their turn', { timeout: 300_000 }, async () => {
    const leaving = [];
    for (let each = 0; each < 4; each++) {
      const controller = new AbortController();
      const response = await start(records(0, 2000), controller.signal);
      leaving.push({ controller, response });
    }
    const refused = await start(records(0, 1));
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ code: 'server/busy' });
    expect(refused.headers.get('retry-after')).toBe('1');
    for (const { controller, response } of leaving) {
      await response.body?.getReader().read();
      controller.abort();
    }
    await expect
      .poll(async () => (await start(records(0, 1))).text(), { timeout: 120_000, interval: 200 })
      .toContain('"type":"result"');
    await classifySample();
    expect(logged).toEqual([]);
  });

  test('is refused when it is too large, before anything is computed', async () => {
    const body = new Uint8Array(64 * 1024 * 1024 + 1);
    const response = await start(body);
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ code: 'request/too-large', details: { maxBytes: 67_108_864 } });
  });
});
