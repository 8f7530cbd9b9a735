/** Bodies as they come over real sockets: at any pace, in any pieces, for readers of any pace. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createHttpServer } from '../../../serve/node/connections.ts';
import { joinObservers } from '../../../serve/observation/observer.ts';
import { readLimited } from '../../../serve/request/request-body.ts';
import { makeRandom } from '../../support/seeded-random.ts';
import { openConnection, type RawConnection } from '../../support/raw-connection.ts';

const MEBIBYTE = 1024 * 1024;
const LIMIT_BYTES = 4 * MEBIBYTE;
/** Two that Node reads of a socket at once, one of them parsed, and a little for headers. */
const BUFFERED_BYTES = 256 * 1024;

const READERS: Readonly<Record<string, () => Promise<unknown>>> = {
  '/eager': () => Promise.resolve(),
  '/next-turn': () => new Promise((resolve) => void setImmediate(resolve)),
  '/slow': () => wait(2),
};

let server: Server;
let url: string;
const requests: IncomingMessage[] = [];
/** Lets the reader of /held go on by one chunk. */
let goOn: (() => void) | undefined;
let readBytes = 0;

/** Answers the hash of the body, or what was wrong with it. */
async function answerHash(request: Request): Promise<Response> {
  const pause = READERS[new URL(request.url).pathname] ?? (() => new Promise<void>((resolve) => (goOn = resolve)));
  const hash = createHash('sha256');
  try {
    for await (const chunk of readLimited(request, { maxBytes: LIMIT_BYTES, code: 'request/too-large' })) {
      hash.update(chunk);
      readBytes += chunk.length;
      await pause();
    }
  } catch (error) {
    return new Response(`refused: ${String(error)}`, { status: 413 });
  }
  return new Response(`hash: ${hash.digest('hex')}`);
}

beforeAll(async () => {
  const limits = { headersMs: 10_000, idleMs: 30_000, restMs: 30_000 };
  const reportError = (error: unknown): never => expect.unreachable(String(error));
  server = createHttpServer({ fetch: answerHash, observer: joinObservers([]), reportError, limits });
  server.prependListener('request', (incoming) => requests.push(incoming));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

function makeBody(bytes: number, seed: number): Buffer {
  const random = makeRandom(seed);
  return Buffer.from(Uint8Array.from({ length: bytes }, () => random()));
}

const head = (path: string, length: string): string => `POST ${path} HTTP/1.1\r\nhost: a\r\n${length}\r\n\r\n`;
const hashOf = (body: Buffer): string => `hash: ${createHash('sha256').update(body).digest('hex')}`;

/** All answers so far. */
function listen({ socket }: RawConnection): () => string[] {
  let text = '';
  socket.on('data', (data) => (text += data.toString('latin1')));
  return () => text.match(/hash: \w{64}|refused: .*?(?=HTTP|$)/gs) ?? [];
}

async function waitForAnswers(read: () => string[], count: number): Promise<string[]> {
  await expect.poll(() => read().length, { timeout: 20_000, interval: 5 }).toBe(count);
  return read();
}

test.each(Object.keys(READERS))('a reader at %s gets each byte once, in whatever pieces it comes', async (path) => {
  const connection = await openConnection(url);
  const answers = listen(connection);
  const bits = makeRandom(path.length);
  const random = (): number => bits() / 2 ** 32;
  const bodies = [1, 70_000, 900_000].map((bytes, seed) => makeBody(bytes, seed));
  for (const body of bodies) {
    connection.socket.write(head(path, 'transfer-encoding: chunked'));
    for (let start = 0, end = 0; start < body.length; start = end) {
      end = Math.min(body.length, start + 1 + Math.floor(random() ** 3 * 200_000));
      connection.socket.write(`${(end - start).toString(16)}\r\n`);
      connection.socket.write(body.subarray(start, end));
      connection.socket.write('\r\n');
      if (random() < 0.3) await wait(random() * 4);
    }
    connection.socket.write('0\r\n\r\n');
  }
  expect(await waitForAnswers(answers, bodies.length)).toEqual(bodies.map(hashOf));
});

test('requests in one packet are read apart', async () => {
  const connection = await openConnection(url);
  const bodies = [makeBody(3000, 1), makeBody(1, 2), makeBody(20_000, 3)];
  const packet = bodies.flatMap((body) => [Buffer.from(head('/eager', `content-length: ${body.length}`)), body]);
  const answers = listen(connection);
  connection.socket.write(Buffer.concat(packet));
  expect(await waitForAnswers(answers, bodies.length)).toEqual(bodies.map(hashOf));
});

test('no more is taken from a caller than its reader has asked for', async () => {
  const connection = await openConnection(url);
  const answers = listen(connection);
  readBytes = 0;
  const body = makeBody(LIMIT_BYTES, 4);
  connection.socket.write(head('/held', `content-length: ${body.length}`));
  connection.socket.write(body);
  await expect.poll(() => goOn, { timeout: 20_000 }).toBeDefined();
  const socket = requests.at(-1)?.socket;
  const aheads: number[] = [];
  for (let chunk = 0; answers().length === 0; chunk++) {
    // Time to take more, where nothing holds it back.
    await wait(chunk < 5 ? 50 : 1);
    aheads.push((socket?.bytesRead ?? Infinity) - readBytes);
    goOn?.();
  }
  expect(answers()).toEqual([hashOf(body)]);
  expect(Math.max(...aheads)).toBeLessThan(BUFFERED_BYTES);
});

test('who reads no answer before everything is sent gets the refusal, however slow it is, and then its next answer', async () => {
  const connection = await openConnection(url);
  const { socket } = connection;
  socket.pause();
  const pieces = 10;
  const piece = Buffer.alloc(100_000);
  socket.write(head('/eager', `content-length: ${LIMIT_BYTES + 1 + pieces * piece.length}`));
  socket.write(Buffer.alloc(LIMIT_BYTES + 1));
  for (let count = 0; count < pieces; count++) {
    await wait(100);
    socket.write(piece);
  }
  const body = makeBody(5000, 5);
  socket.write(head('/eager', `content-length: ${body.length}`));
  socket.write(body);
  const answers = listen(connection);
  socket.resume();
  expect(await waitForAnswers(answers, 2)).toEqual([expect.stringMatching(/got more than/), hashOf(body)]);
});

test.each(['/eager', '/slow'])(
  'a caller that leaves ends the reading at %s, of which nothing is left behind',
  async (path) => {
    const before = requests.length;
    const { socket } = await openConnection(url);
    socket.write(head(path, 'content-length: 1000000'));
    socket.write(makeBody(500_000, 6));
    await expect.poll(() => requests.length, { timeout: 20_000 }).toBe(before + 1);
    const incoming = requests.at(-1);
    await expect.poll(() => incoming?.readableDidRead, { timeout: 20_000 }).toBe(true);
    socket.destroy();
    await expect.poll(() => incoming?.destroyed, { timeout: 20_000 }).toBe(true);
    await expect
      .poll(() => ['readable', 'end', 'error', 'close', 'data'].map((event) => incoming?.listenerCount(event)))
      .toEqual([0, 0, 0, 0, 0]);
  },
);
