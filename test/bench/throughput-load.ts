/**
 * The callers of `npm run bench:throughput`, a process of its own, so that its processor time can be told from the
 * server's: node throughput-load.ts URL CLIENTS SECONDS FILE. Prints one line of JSON.
 *
 * Each caller has a connection and sends its next request when it has the whole answer. The requests are bytes that were
 * made before, and of an answer only status and length are read: callers take little of the machine that they measure.
 */
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';

const [url = '', clients = '1', seconds = '1', file = ''] = process.argv.slice(2);
const { host, hostname, port } = new URL(url);
const body = readFileSync(file);
const request = Buffer.concat([
  Buffer.from(`POST /classify HTTP/1.1\r\nhost: ${host}\r\ncontent-length: ${body.length}\r\n\r\n`),
  body,
]);
const sockets: Socket[] = [];
const latencies: number[] = [];
let failed = 0;
let isOver = false;

const before = process.cpuUsage();
const startedMs = performance.now();
for (let client = 0; client < Number(clients); client++) sockets.push(startCaller());
await new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1000));
isOver = true;
const durationSeconds = (performance.now() - startedMs) / 1000;
const { user, system } = process.cpuUsage(before);
for (const socket of sockets) socket.destroy();

latencies.sort((a, b) => a - b);
const at = (share: number): number => Math.round(latencies[Math.floor(share * latencies.length)] ?? Number.NaN);
console.log(
  JSON.stringify({
    total: latencies.length,
    duration: durationSeconds,
    p50: at(0.5),
    p99: at(0.99),
    failed,
    cpuSeconds: (user + system) / 1e6,
  }),
);

/** What is received before an answer is complete. */
function startCaller(): Socket {
  const socket = connect(Number(port), hostname, send);
  let sentMs = 0;
  let received = Buffer.alloc(0);
  /** Of the whole answer, when its head is there. */
  let expectedBytes: number | undefined;

  function send(): void {
    sentMs = performance.now();
    socket.write(request);
  }

  socket.on('data', (chunk) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    expectedBytes ??= findEnd(received);
    if (expectedBytes === undefined || received.length < expectedBytes || isOver) return;
    latencies.push(performance.now() - sentMs);
    if (received.toString('latin1', 9, 12) !== '200') failed++;
    received = Buffer.alloc(0);
    expectedBytes = undefined;
    send();
  });
  socket.on('error', fail);
  socket.on('end', () => fail(new Error('the server ended a connection')));
  return socket;
}

/** Where the answer ends that begins here; unknown until its head is there. */
function findEnd(answer: Buffer): number | undefined {
  const headEnd = answer.indexOf('\r\n\r\n');
  if (headEnd === -1) return undefined;
  const length = /\r\ncontent-length: (\d+)/i.exec(answer.toString('latin1', 0, headEnd))?.[1];
  if (length === undefined) throw new Error('an answer without Content-Length');
  return headEnd + 4 + Number(length);
}

function fail(error: Error): void {
  if (isOver) return;
  console.error(error);
  process.exit(1);
}
