/** `node serve/node.ts` as a user or a supervisor runs it: the shipped model, signals, and what it says when it cannot. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { startServer } from '../../serve/node/server.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';
import { writeTinyStore } from '../support/tiny-model.ts';

interface Command {
  child: ChildProcess;
  /** Resolves with all output up to and with the first line that fits. */
  waitFor: (pattern: RegExp) => Promise<RegExpExecArray>;
  /** Exit code and all output. */
  ended: Promise<{ code: number | null; output: string }>;
}

function startCommand(environment: Record<string, string>, flags: readonly string[] = []): Command {
  const child = spawn(process.execPath, ['serve/node.ts', ...flags], {
    env: { PATH: process.env['PATH'], ...environment },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  const listeners = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) => {
      output += data.toString();
      listeners.forEach((listener) => listener());
    });
  }
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, output }));
  return {
    child,
    ended,
    waitFor: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const match = pattern.exec(output);
          if (match !== null) resolve(match);
        };
        listeners.add(look);
        look();
        void ended.then(() => reject(new Error(`ended without ${pattern}: ${output}`)));
      }),
  };
}

test('says where it listens and with which model, and ends with 0 after the request in flight', async () => {
  const { child, waitFor, ended } = startCommand({ PORT: '0' });
  const [, url = '', id = ''] = await waitFor(/(http:\/\/127\.0\.0\.1:\d+) answers with \S+ \(([0-9a-f]{8})\)/);
  const { models } = (await (await fetch(`${url}/models`)).json()) as { models: { id: string }[] };
  expect(models[0]?.id.slice(0, 8)).toBe(id);

  // Half of a request, then the signal, then the other half.
  const body = JSON.stringify({ image: 'AAAA' });
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  const answer = new Promise<string>((resolve) => {
    let text = '';
    socket.on('data', (data) => (text += data.toString()));
    socket.on('close', () => resolve(text));
  });
  socket.write(
    `POST /classify/json HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`,
  );
  await new Promise((resolve) => setTimeout(resolve, 200));
  child.kill('SIGTERM');
  const knock = () =>
    fetch(`${url}/healthz`).then(
      () => 'open',
      () => 'closed',
    );
  await expect.poll(knock, { timeout: 8000 }).toBe('closed');
  socket.write(body);
  expect(await answer).toMatch(/^HTTP\/1.1 415 [\s\S]*image\/unknown-type/);
  expect(await ended).toMatchObject({ code: 0 });
});

test('ends with 0 and in silence when it is told to before its model is loaded', { timeout: 60_000 }, async () => {
  // Above those that Linux gives to who asks for any: a server of another test would answer for this one.
  const port = 61_000 + Math.floor(Math.random() * 4500);
  const { child, ended } = startCommand({ PORT: String(port) });
  const knock = (): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true));
      socket.on('error', () => resolve(false)).on('connect', () => socket.destroy());
    });
  while (!(await knock())) await new Promise((resolve) => setTimeout(resolve, 5));
  child.kill('SIGTERM');
  const { code, output } = await ended;
  expect(code).toBe(0);
  expect(output).not.toContain('error');
});

test.each(['abc', '65536', '80.5'])('refuses PORT=%s', async (port) => {
  const { code, output } = await startCommand({ PORT: port }).ended;
  expect(code).toBe(1);
  expect(output).toBe(`error server/port: PORT is "${port}"; a whole number from 0 to 65535 is expected\n`);
});

test.each([
  { name: 'MODEL_STORE', environment: (store: string) => ({ MODEL_STORE: store }), flags: () => [] },
  { name: '--store', environment: () => ({ MODEL_STORE: '/nowhere' }), flags: (store: string) => ['--store', store] },
])('answers with the model of the store that $name names', { timeout: 60_000 }, async ({ environment, flags }) => {
  const store = await makeTemporaryFolder();
  const { modelId } = await writeTinyStore(store);
  const { child, waitFor, ended } = startCommand({ PORT: '0', ...environment(store) }, flags(store));
  const [, id] = await waitFor(/answers with tiny\.test \(([0-9a-f]{8})\)/);
  expect(id).toBe(modelId.slice(0, 8));
  child.kill('SIGTERM');
  expect(await ended).toMatchObject({ code: 0 });
});

test.each([
  [
    ['--store', '/nowhere'],
    /^error server\/store: the model store "\/nowhere" is no folder; name one that is, or make it\n$/,
  ],
  [['--shop', 'x'], /^error cli\/usage: Unknown option '--shop'.*; only --store DIR is expected\n$/],
])('refuses %s', async (flags, says) => {
  const { code, output } = await startCommand({ PORT: '0' }, flags).ended;
  expect(code).toBe(1);
  expect(output).toMatch(says);
});

test('refuses a time that is none', async () => {
  const { code, output } = await startCommand({ PORT: '0', POINTER_TTL_MS: '5s' }).ended;
  expect(code).toBe(1);
  expect(output).toMatch(/^error server\/pointer-ttl: POINTER_TTL_MS is "5s"; a whole number of milliseconds/);
});

test('says what to do when the port is in use', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void other.close());
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const { code, output } = await startCommand({ PORT: String(port) }).ended;
  expect(code).toBe(1);
  expect(output).toBe(
    `error server/port: port ${port} of 127.0.0.1 is in use; stop the program that has it, or set PORT to another one\n`,
  );
});

test('says what to do when the page is not built', async () => {
  const folder = await makeTemporaryFolder();
  const options = { host: '127.0.0.1', port: 0, store: folder, page: folder, reportError: () => undefined };
  await expect(startServer(options)).rejects.toMatchObject({
    code: 'web/not-built',
    message: `there is no page in ${folder}; run "npm run build"`,
  });
});

test('ends a request that never gets its rest when the time to close is up', async () => {
  const store = await makeTemporaryFolder();
  const server = await startServer({
    host: '127.0.0.1',
    port: 0,
    store,
    page: 'web/dist',
    reportError: () => undefined,
    closeGraceMs: 300,
  });
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  const gone = once(socket, 'close');
  socket.on('error', () => undefined);
  socket.write('POST /classify HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nabc');
  await new Promise((resolve) => setTimeout(resolve, 100));

  let isClosed = false;
  const closing = server.close().then(() => (isClosed = true));
  await new Promise((resolve) => setTimeout(resolve, 150));
  expect(isClosed).toBe(false);
  await Promise.all([closing, gone]);
});

test.each([
  [{ LOG: 'yes' }, 'LOG is "yes"; json or off is expected'],
  [{ METRICS: 'no' }, 'METRICS is "no"; on or off is expected'],
  [
    { RATE_LIMIT: '10/s' },
    'RATE_LIMIT is "10/s"; off, or the requests that one client may make in a minute, is expected',
  ],
  [
    { CORS_ORIGINS: 'https://a.example/' },
    'CORS_ORIGINS has "https://a.example/"; *, none, or origins with commas between them are expected, such as https://example.org',
  ],
  [
    { CLIENT_ADDRESS_HEADER: 'x: y' },
    'CLIENT_ADDRESS_HEADER is "x: y"; the name of a header is expected that your proxy sets, such as x-forwarded-for',
  ],
  [
    { API_KEYS: '' },
    'API_KEYS is set but has no key; keys with commas between them are expected, or no API_KEYS at all, so that everybody may evaluate',
  ],
])('refuses %o', async (environment, says) => {
  const { code, output } = await startCommand({ PORT: '0', ...environment }).ended;
  expect(code).toBe(1);
  expect(output).toBe(`error server/setting: ${says}\n`);
});

test.each(['too-few', 'with a blank in the middle of it', 'sixteen-characters,,sixteen-characters'])(
  'refuses API_KEYS=%s without repeating it',
  async (keys) => {
    const { code, output } = await startCommand({ PORT: '0', API_KEYS: keys }).ended;
    expect(code).toBe(1);
    expect(output).toMatch(/^error server\/setting: API_KEYS has a key that is shorter than 16 characters/);
    expect(output).not.toContain(keys);
  },
);

test('is quiet about requests unless LOG=json, and then every line is JSON', async () => {
  const store = await makeTemporaryFolder();
  await writeTinyStore(store);
  const outputs = [];
  for (const environment of [{}, { LOG: 'json' }]) {
    const { child, waitFor, ended } = startCommand({ PORT: '0', MODEL_STORE: store, ...environment });
    const [, url = ''] = await waitFor(/(http:\/\/127\.0\.0\.1:\d+) answers with/);
    await (await fetch(`${url}/nothing`, { headers: { 'x-request-id': 'asked' } })).arrayBuffer();
    child.kill('SIGTERM');
    outputs.push((await ended).output);
  }
  const [quiet = '', json = ''] = outputs;
  expect(quiet.split('\n').length).toBe(2);
  const lines = json
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines).toMatchObject([
    { level: 'info', message: expect.stringContaining('answers with tiny.test') },
    { level: 'info', requestId: 'asked', status: 404, code: 'route/unknown' },
  ]);
});
