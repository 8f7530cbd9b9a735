/** What a connection may do to the Node server: real sockets that are slow, silent, broken, too long or gone. */
import { get, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { text as readText } from 'node:stream/consumers';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startServer, type RunningServer } from '../../../serve/node/server.ts';
import { API_LIMITS, problemSchema } from '../../../shared/api.ts';
import { classify, drawPicture, type Send } from '../../contract/api-client.ts';
import { openConnection, splitAnswer, type RawConnection } from '../../support/raw-connection.ts';
import { makeSharedFolder } from '../../support/temporary-folder.ts';
import { tinyArchitecture, writeTinyStore } from '../../support/tiny-model.ts';

const MEBIBYTE = 1024 * 1024;
const UPLOAD_WAIT_MS = 600;

let server: RunningServer;
const reported: unknown[] = [];
const lines: string[] = [];

beforeAll(async () => {
  const store = await makeSharedFolder();
  await writeTinyStore(store, { architecture: tinyArchitecture({ classes: 10 }) });
  server = await startServer({
    host: '127.0.0.1',
    port: 0,
    store,
    page: 'web/dist',
    reportError: (error) => reported.push(error),
    log: (line) => lines.push(line),
    headersWaitMs: 300,
    uploadWaitMs: UPLOAD_WAIT_MS,
    silenceMs: 2000,
  });
  await server.ready;
});
afterAll(() => server.close());

const send: Send = (path, init) => fetch(new URL(path, server.url), init);
const open = () => openConnection(server.url);

async function say(text: string): Promise<RawConnection> {
  const connection = await open();
  connection.socket.write(text);
  return connection;
}

/** The problem that ends the connection, with the headers of every answer. */
async function readRefusal({ ended }: RawConnection) {
  const { status, headers, body } = splitAnswer(await ended);
  const problem = problemSchema.parse(JSON.parse(body));
  expect(problem.status).toBe(status);
  expect(headers['content-type']).toBe('application/problem+json');
  expect(headers['x-content-type-options']).toBe('nosniff');
  expect(headers['x-request-id']).toBe(problem.requestId);
  expect(body).not.toMatch(/node_modules|\.ts\b|\bat \w+ \(/);
  return problem;
}

/** Over a connection of its own, which is counted too. */
async function readMetric(name: string, url = server.url): Promise<number> {
  const response = await new Promise<IncomingMessage>((resolve) => get(`${url}/metrics`, { agent: false }, resolve));
  const line = (await readText(response)).split('\n').find((each) => each.startsWith(`${name} `));
  return Number(line?.split(' ')[1]);
}

describe('what is no request', () => {
  test('bytes that are no HTTP are answered with 400', async () => {
    const problem = await readRefusal(await say('\u0016\u0003\u0001 hello\r\n\r\n'));
    expect(problem).toMatchObject({ status: 400, code: 'request/malformed' });
  });

  test.each(['evil"><script>', 'a b', 'a/b', 'a@b', '[::1'])(
    'a host that is none, %j, is answered with 400',
    async (host) => {
      const connection = await say(`GET /docs HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
      const problem = await readRefusal(connection);
      expect(problem).toMatchObject({ status: 400, code: 'request/malformed' });
      expect(JSON.stringify(problem)).not.toContain(host);
    },
  );

  test('headers that are too large are answered with 431', async () => {
    const connection = await say(`GET /healthz HTTP/1.1\r\nhost: a\r\nx: ${'x'.repeat(40_000)}\r\n\r\n`);
    expect(await readRefusal(connection)).toMatchObject({ status: 431, code: 'request/headers-too-large' });
  });

  test('many small headers that are too large together are answered with 431', async () => {
    const connection = await say(`GET /healthz HTTP/1.1\r\nhost: a\r\n${'x-y: z\r\n'.repeat(10_000)}\r\n`);
    expect(await readRefusal(connection)).toMatchObject({ status: 431, code: 'request/headers-too-large' });
  });

  test('a long header in several packets is answered with 431, which names the URL and the headers', async () => {
    const connection = await say('GET /healthz HTTP/1.1\r\nhost: a\r\nx: ');
    for (let packet = 0; packet < 2; packet++) {
      await new Promise((resolve) => setTimeout(resolve, 40));
      connection.socket.write('x'.repeat(20_000));
    }
    const problem = await readRefusal(connection);
    expect(problem).toMatchObject({ status: 431, code: 'request/headers-too-large' });
    expect(problem.detail).toContain('the URL and the headers');
  });

  test('what follows a request whose answer is on its way is told nothing, also when another answer has ended', async () => {
    const { socket, ended } = await open();
    let answers = '';
    socket.on('data', (data) => (answers += data.toString('latin1')));
    const head = 'host: a\r\ncontent-type: application/octet-stream\r\ntransfer-encoding: chunked\r\n\r\n';
    socket.write(`GET /healthz HTTP/1.1\r\nhost: a\r\n\r\nPOST /evaluate HTTP/1.1\r\n${head}`);
    // 100 records of a class and 8 x 8 x 3 values.
    const records = Buffer.alloc(100 * 193);
    socket.write(Buffer.concat([Buffer.from(`${records.length.toString(16)}\r\n`), records, Buffer.from('\r\n')]));
    await expect.poll(() => answers, { timeout: 20_000, interval: 5 }).toContain('"type":"start"');
    socket.write('no length of a chunk\r\n');
    const statuses = (await ended).match(/HTTP\/1\.1 \d+/g);
    expect(statuses).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200']);
  });

  test('a URL that is longer than all headers may be is answered with 414', async () => {
    const connection = await say(`GET /${'x'.repeat(60_000)} HTTP/1.1\r\nhost: a\r\n\r\n`);
    expect(await readRefusal(connection)).toMatchObject({ status: 414, code: 'request/url-too-long' });
  });

  test('a request with two lengths is answered with 400', async () => {
    const head = 'POST /classify HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n';
    expect(await readRefusal(await say(`${head}0\r\n\r\n`))).toMatchObject({ status: 400, code: 'request/malformed' });
  });

  test('each of them is in the log and in the metrics', async () => {
    const refused = lines
      .map((line) => JSON.parse(line) as { route: string; code: string })
      .filter(({ route }) => route === '(none)');
    const codes = new Set(refused.map(({ code }) => code));
    expect(codes).toEqual(new Set(['request/malformed', 'request/headers-too-large', 'request/url-too-long']));
    const text = await (await send('/metrics')).text();
    expect(text).toContain('resnet_problems_total{code="request/headers-too-large"} 3');
  });
});

describe('who is slow', () => {
  test('a connection without a request is closed', async () => {
    expect((await readRefusal(await open())).code).toBe('request/timeout');
  });

  test('headers that do not end are answered with 408, also when they trickle', async () => {
    const connection = await say('GET /healthz HTTP/1.1\r\nhost: a\r\nx: ');
    const trickle = setInterval(() => connection.socket.write('x'), 50);
    const problem = await readRefusal(connection);
    clearInterval(trickle);
    expect(problem).toMatchObject({ status: 408, code: 'request/timeout' });
  });

  test.each([
    ['/classify', 'image/png'],
    ['/classify', 'multipart/form-data; boundary=x'],
    ['/classify/json', 'application/json'],
    ['/evaluate', 'application/octet-stream'],
    ['/activations/layer1', 'image/png'],
  ])('a body of POST %s as %s that stops is answered with 408', async (path, type) => {
    const connection = await say(
      `POST ${path} HTTP/1.1\r\nhost: a\r\ncontent-type: ${type}\r\ncontent-length: 100000\r\n\r\n--x`,
    );
    const problem = await readRefusal(connection);
    expect(problem).toMatchObject({ status: 408, code: 'request/timeout' });
    expect(problem.detail).toMatch(/waited 0.6 s for the body/);
  });

  test('a body below /v2 that stops is answered with 408 in the protocol’s words', async () => {
    const head = 'POST /v2/models/resnet18/infer HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n{';
    const { status, body } = splitAnswer(await (await say(head)).ended);
    expect(status).toBe(408);
    expect(JSON.parse(body)).toEqual({ error: expect.stringMatching(/waited 0.6 s/) });
  });

  test('a body that trickles is answered with 408: its waits are added up', async () => {
    const connection = await say('POST /classify HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n');
    const trickle = setInterval(() => connection.socket.write('1\r\nx\r\n'), UPLOAD_WAIT_MS / 10);
    const problem = await readRefusal(connection);
    clearInterval(trickle);
    expect(problem.code).toBe('request/timeout');
  });

  test('a body that nobody asked for, and that never comes, does not keep the connection', async () => {
    const connection = await say('POST /nothing HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n');
    expect((await readRefusal(connection)).code).toBe('route/unknown');
  });

  test('a caller that does not read its answers is cut off', async () => {
    const { socket } = await open();
    socket.pause();
    socket.write('GET /openapi.json HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(100));
    await expect.poll(() => readMetric('http_open_connections'), { timeout: 10_000 }).toBe(2);
    // Its own connection is counted.
    await expect.poll(() => readMetric('http_open_connections'), { timeout: 20_000, interval: 200 }).toBe(1);
  });
});

describe('who leaves in the middle of an upload', () => {
  const UPLOADS = 24;
  const SENT_BYTES = 4 * MEBIBYTE;
  const body = Buffer.alloc(SENT_BYTES, 7);
  let patient: RunningServer;

  beforeAll(async () => {
    const options = { host: '127.0.0.1', port: 0, store: 'serve/models', page: 'web/dist' };
    const log = (line: string): number => lines.push(line);
    patient = await startServer({ ...options, reportError: (error) => reported.push(error), log });
    await patient.ready;
    lines.length = 0;
  });
  afterAll(() => patient.close());

  /** Nothing here remembers the sockets: they are the server's ends' peers in the same process. */
  async function abortUpload(head: string): Promise<void> {
    const { hostname, port } = new URL(patient.url);
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined);
    socket.write(head);
    await new Promise<void>((resolve) => socket.write(body, () => resolve()));
    socket.destroy();
  }

  async function abortUploads(path: string, type: string): Promise<void> {
    const isForm = type.startsWith('multipart');
    const begin = isForm ? '--x\r\ncontent-disposition: form-data; name="file"; filename="a.png"\r\n\r\n' : '';
    const length = API_LIMITS.bytesPerImage;
    const head = `POST ${path} HTTP/1.1\r\nhost: a\r\ncontent-type: ${type}\r\ncontent-length: ${length}\r\n\r\n${begin}`;
    await Promise.all(Array.from({ length: UPLOADS }, () => abortUpload(head)));
    await expect.poll(() => readMetric('http_open_connections', patient.url), { timeout: 20_000 }).toBe(1);
    expect(await readMetric('http_requests_in_flight', patient.url)).toBe(1);
  }

  /** What buffers and objects take when nothing that is garbage counts. */
  function measureBytes(): number {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    for (let round = 0; round < 3; round++) collect();
    const { arrayBuffers, heapUsed } = process.memoryUsage();
    return arrayBuffers + heapUsed;
  }

  test.each([
    ['/classify', 'image/png'],
    ['/classify', 'multipart/form-data; boundary=x'],
  ])(
    'leaves no memory, no connection and no request behind at POST %s as %s',
    { timeout: 120_000 },
    async (path, type) => {
      await abortUploads(path, type);
      const before = measureBytes();
      for (let round = 0; round < 3; round++) await abortUploads(path, type);
      // 288 MiB were sent: one upload that is kept would show.
      expect(measureBytes() - before).toBeLessThan(SENT_BYTES);
    },
  );

  test('leaves a place free for the next evaluation', async () => {
    await abortUploads('/evaluate', 'multipart/form-data; boundary=x');
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream' },
      body: new Uint8Array(3073),
    };
    const response = await fetch(`${patient.url}/evaluate`, init);
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('"type":"result"');
  });

  test('is in the log as what it was', () => {
    const codes = lines.map((line) => (JSON.parse(line) as { code?: string }).code);
    expect(codes.filter((code) => code === 'request/aborted').length).toBeGreaterThanOrEqual(2 * 4 * UPLOADS);
  });
});

test('a good picture is answered after all of them, and there is nothing to report', async () => {
  const { predictions } = await classify(send, await drawPicture({ width: 20, height: 12 }));
  expect(predictions.length).toBe(5);
  expect(reported).toEqual([]);
});
