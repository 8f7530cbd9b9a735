/**
 * What the Node server does before the app sees a request, and where it never does: limits of time and size for a
 * connection, and answers to what is no HTTP, in the same form as all other problems.
 */
import { createServer, STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { randomUUID } from 'node:crypto';
import { getRequestListener } from '@hono/node-server';
import { API_LIMITS, REQUEST_ID_HEADER } from '../../shared/api.ts';
import { ProductError } from '../../shared/errors.ts';
import { NO_ROUTE, type Observer } from '../observation/observer.ts';
import { problemHeaders, toProblem } from '../problem.ts';
import { offerBody } from '../request/body-source.ts';
import { urlTooLong } from '../request/request-url.ts';
import { readIncoming } from './incoming-body.ts';

export interface ConnectionLimits {
  /** From the first byte of a request, or from connecting, to the end of its headers. */
  headersMs: number;
  /** Without a byte in either direction, while a request is in work: whoever does not read its answer is cut off. */
  idleMs: number;
  /** For the rest of a body whose request is answered already. */
  restMs: number;
}

/** Until a whole request is there; only a last resort: an evaluation takes its body as fast as it computes. */
const REQUEST_MS = 60 * 60 * 1000;
/** Of a connection between two requests. */
const KEEP_ALIVE_MS = 5000;
/** How often the times are looked at. */
const CHECK_MS = 1000;
/** Of the URL and all headers together. */
const HEADER_BYTES = 2 * API_LIMITS.urlLength;
/** How long a caller that was refused may take to read the answer. */
const FAREWELL_MS = 500;

interface ConnectionOptions {
  fetch: Parameters<typeof getRequestListener>[0];
  observer: Required<Observer>;
  reportError: (error: unknown) => void;
  limits: ConnectionLimits;
}

export function createHttpServer({ fetch, observer, reportError, limits }: ConnectionOptions): Server {
  const listener = getRequestListener(
    (request, env) => {
      // HTTP/2 is not spoken here.
      offerBody(request, readIncoming(env.incoming as IncomingMessage));
      return fetch(request, env);
    },
    {
      errorHandler: (error) => answerFailure(error, observer, reportError),
      // It would end the connection after half a second, and many callers read no answer before they have sent everything.
      autoCleanupIncoming: false,
    },
  );
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES,
      headersTimeout: limits.headersMs,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: Math.min(CHECK_MS, limits.headersMs),
    },
    (incoming, outgoing) => {
      trackAnswer(incoming, outgoing);
      outgoing.once('close', () => limitRest(incoming, limits.restMs));
      void listener(incoming, outgoing);
    },
  );
  server.setTimeout(limits.idleMs);
  server.on('clientError', (error: ParserError, socket: Socket) => refuseConnection(error, socket, observer));
  return server;
}

/** By socket: requests in work, of which there are several where they are pipelined. Their answers may be on their way. */
const answering = new WeakMap<Socket, number>();

function trackAnswer({ socket }: IncomingMessage, outgoing: ServerResponse): void {
  countAnswer(socket, 1);
  outgoing.once('close', () => countAnswer(socket, -1));
}

function countAnswer(socket: Socket, change: 1 | -1): void {
  answering.set(socket, (answering.get(socket) ?? 0) + change);
}

/** The rest is taken and forgotten: by who began to read, else by Node itself. */
function limitRest(incoming: IncomingMessage, restMs: number): void {
  const { socket } = incoming;
  if (incoming.complete || socket.destroyed) return;
  const timer = setTimeout(() => socket.destroySoon(), restMs);
  const stop = (): void => {
    clearTimeout(timer);
    incoming.off('end', stop);
    socket.off('close', stop);
  };
  incoming.once('end', stop);
  socket.once('close', stop);
}

/** What is wrong with a request line or a host, which the adapter finds before the app is asked. */
function answerFailure(error: unknown, observer: Required<Observer>, reportError: (error: unknown) => void): Response {
  const isCallers = error instanceof Error && error.name === 'RequestError';
  if (!isCallers) reportError(error);
  const told = isCallers
    ? new ProductError('request/malformed', `the URL or the host of the request is not valid: ${error.message}`)
    : error;
  const { body, headers, status } = describeRefusal(told, observer);
  return new Response(body, { status, headers });
}

interface ParserError extends Error {
  code?: string;
  /** What the parser was given last. */
  rawPacket?: Buffer;
}

function refuseConnection(error: ParserError, socket: Socket, observer: Required<Observer>): void {
  if (!socket.writable || CALLER_LEFT.includes(error.code ?? '') || (answering.get(socket) ?? 0) > 0) {
    socket.destroy();
    return;
  }
  const { body, headers, status } = describeRefusal(explainParserError(error), observer);
  const lines = Object.entries({ ...headers, 'content-length': String(Buffer.byteLength(body)), connection: 'close' });
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  // One answer, whatever else arrives.
  countAnswer(socket, 1);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${head}\r\n${body}`);
  // Closing at once would take the answer from a caller that still sends.
  setTimeout(() => socket.destroy(), FAREWELL_MS);
}

/** In the middle of a request: nobody is there to read an answer. */
const CALLER_LEFT: readonly string[] = ['ECONNRESET', 'EPIPE', 'HPE_INVALID_EOF_STATE'];

function explainParserError({ code, rawPacket }: ParserError): ProductError {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return new ProductError('request/timeout', 'waited too long for the headers of the request; send it again');
  }
  if (code !== 'HPE_HEADER_OVERFLOW') {
    return new ProductError(
      'request/malformed',
      `the request is not HTTP/1.1 (${code ?? 'unknown reason'}); send it again`,
    );
  }
  if (rawPacket !== undefined && hasLongUrl(rawPacket)) return urlTooLong(undefined);
  return new ProductError(
    'request/headers-too-large',
    `the URL and the headers have more than ${HEADER_BYTES} bytes; send fewer or shorter headers`,
    { details: { maxBytes: HEADER_BYTES } },
  );
}

/** Whether the packet begins with a request line that is too long; one that begins later may be any header's middle. */
function hasLongUrl(packet: Buffer): boolean {
  const [line = ''] = packet.toString('latin1').split('\r\n', 1);
  return line.length > API_LIMITS.urlLength && /^[A-Z-]+ [/*h]/i.test(line);
}

function describeRefusal(error: unknown, observer: Required<Observer>) {
  const requestId = randomUUID();
  const problem = toProblem(error, requestId);
  observer.requestBegan();
  observer.requestAnswered({ requestId, method: '-', route: NO_ROUTE, status: problem.status, code: problem.code });
  const headers = {
    ...problemHeaders(problem),
    [REQUEST_ID_HEADER]: requestId,
    'x-content-type-options': 'nosniff',
  };
  return { body: JSON.stringify(problem), headers, status: problem.status };
}
