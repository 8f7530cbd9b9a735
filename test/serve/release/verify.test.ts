/** `verify` against a real server with a promoted model, and against servers that answer otherwise. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { beforeAll, afterAll, expect, it, onTestFinished } from 'vitest';
import { openFolderStore } from '../../../serve/node/folder-store.ts';
import { startServer, type RunningServer } from '../../../serve/node/server.ts';
import { computeAnswers } from '../../../serve/release/known-answers.ts';
import { askServer } from '../../../serve/release/live-server.ts';
import type { Classification } from '../../../shared/api.ts';
import type { ModelManifest } from '../../../shared/manifest.ts';
import { release } from '../../support/release-command.ts';
import { makeSharedFolder } from '../../support/temporary-folder.ts';
import { writeTinyModel } from '../../support/tiny-model.ts';

let root: string;
let server: RunningServer;
const manifests: ModelManifest[] = [];

/** Two stores, each with a champion of its own; the server follows the first. */
const storeOf = (index: number): string => join(root, `store-${index}`);

beforeAll(async () => {
  root = await makeSharedFolder();
  for (const index of [0, 1]) {
    const folder = join(root, `model-${index}`);
    const manifest = await writeTinyModel(folder, { seed: index + 1, name: `tiny.number-${index}` });
    manifests.push(manifest);
    await release(['publish', folder, '--store', storeOf(index)]);
    await release(['promote', manifest.modelId, '--store', storeOf(index)]);
  }
  server = await startServer({
    host: '127.0.0.1',
    port: 0,
    store: storeOf(0),
    page: 'web/dist',
    reportError: (error) => console.error(error),
  });
});
afterAll(() => server.close());

/** The real server behind one that may change its answers. */
async function startProxy(change: (body: Classification) => unknown): Promise<string> {
  const proxy = createServer((request, response) => {
    void forward(request.url ?? '/', request, response);
  });
  async function forward(path: string, body: AsyncIterable<Buffer>, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of body) parts.push(part);
    const answer = await fetch(`${server.url}${path}`, { method: 'POST', body: Buffer.concat(parts) });
    response.setHeader('x-model-id', answer.headers.get('x-model-id') ?? '');
    response.end(JSON.stringify(change((await answer.json()) as Classification)));
  }
  proxy.listen(0, '127.0.0.1');
  onTestFinished(() => void proxy.close());
  await once(proxy, 'listening');
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
}

const verify = (url: string, index: number, ...more: string[]) =>
  release(['verify', url, '--store', storeOf(index), '--wait', '0', ...more]);

it('finds the champion of the store, and its numbers, on a live server', async () => {
  await server.ready;
  const { status, printed, reported } = await verify(server.url, 0);
  expect([status, reported]).toEqual([
    0,
    `${server.url} is expected to answer with tiny.number-0 (${manifests[0]?.modelId.slice(0, 8)})`,
  ]);
  expect(printed).toMatch(/10 pictures, 30 logits: they differ by at most \d\.\de-\d+, .* \(allowed: 0\.01\)$/);
  const { printed: json } = await verify(`${server.url}/`, 0, '--json');
  const { share, pictures } = JSON.parse(json) as { share: number; pictures: number };
  expect(pictures).toBe(10);
  expect(share).toBeLessThan(1e-6);
});

it('takes the shipped model for a channel that was never changed', async () => {
  const { status, reported } = await verify(server.url, 0, '--channel', 'untouched');
  expect(status).toBe(1);
  expect(reported).toMatch(/is expected to answer with resnet18\.\S+ \(\w{8}\)\nverify\/(other-model|unreachable): /);
});

it('refuses a server that answers with another model', async () => {
  expect(await verify(server.url, 1)).toMatchObject({
    status: 1,
    reported: expect.stringContaining(
      `verify/other-model: the server answers with model ${manifests[0]?.modelId.slice(0, 8)}, the champion is ${manifests[1]?.modelId.slice(0, 8)}`,
    ),
  });
});

it('refuses the right model with other numbers, from one logit of one class on', async () => {
  const url = await startProxy((body) => ({
    ...body,
    predictions: body.predictions.map((each) => (each.index === 2 ? { ...each, logit: each.logit + 0.2 } : each)),
  }));
  const { status, reported } = await verify(url, 0);
  expect(status).toBe(1);
  expect(reported).toMatch(/verify\/mismatch: the server's logits differ by up to 0\.200 \(picture [\w-]+\), /);
  expect((await verify(url, 0, '--tolerance', '1000')).status).toBe(0);
});

it.each([
  ['lacks a class', (body: Classification) => ({ ...body, predictions: body.predictions.slice(1) })],
  [
    'has other names',
    (body: Classification) => ({ ...body, predictions: body.predictions.map((each) => ({ ...each, label: 'x' })) }),
  ],
  ['is no classification', () => 'hello'],
])('refuses an answer that %s', async (_what, change) => {
  const { status, reported } = await verify(await startProxy(change), 0);
  expect(status).toBe(1);
  expect(reported).toMatch(/verify\/mismatch: .* does not answer picture [\w-]+ with the 3 classes of the model/);
});

it('says that nobody answers, or nobody who knows models', async () => {
  const other = createServer((_request, response) => response.end('a web page')).listen(0, '127.0.0.1');
  onTestFinished(() => void other.close());
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  expect((await verify(`http://127.0.0.1:${port}`, 0)).reported).toMatch(
    /verify\/unreachable: .* answers with status 200 and without x-model-id: a web page; look at the server's log/,
  );
  other.close();
  await once(other, 'close');
  expect((await verify(`http://127.0.0.1:${port}`, 0)).reported).toMatch(/verify\/unreachable: .* does not answer/);
});

it('gives a server up that takes the request and never answers', async () => {
  const silent = createServer(() => undefined).listen(0, '127.0.0.1');
  onTestFinished(() => {
    silent.closeAllConnections();
    silent.close();
  });
  await once(silent, 'listening');
  const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const expected = await computeAnswers(openFolderStore(storeOf(0)), 'resnet18');
  await expect(askServer({ url, expected, waitMs: 0, channel: undefined, answerMs: 200 })).rejects.toMatchObject({
    code: 'verify/unreachable',
    message: expect.stringContaining('does not answer (TimeoutError'),
  });
});
