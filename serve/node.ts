/**
 * The server as a command: `npm start`. Its settings are the environment's PORT, HOST, MODEL_STORE, POINTER_TTL_MS,
 * EDGE_MODE, THREADS, QUEUE_LIMIT, REQUEST_TIMEOUT_MS, LOG, METRICS, CORS_ORIGINS, API_KEYS, RATE_LIMIT and
 * CLIENT_ADDRESS_HEADER; `--store DIR` goes before MODEL_STORE.
 */
import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ProductError } from '../shared/errors.ts';
import { parseApiKeys } from './access/api-keys.ts';
import { parseOrigins } from './access/cors.ts';
import { parseAddressHeader } from './node/client-address.ts';
import { readPoolSettings } from './node/inference/pool-settings.ts';
import { startServer, type RunningServer } from './node/server.ts';
import { parsePointerTtl } from './pointer-ttl.ts';
import { parseRateLimit } from './access/rate-limit.ts';
import { parseLogForm, writeErrorLine, writeMessageLine, type LogForm } from './observation/request-log.ts';
import { parseEdgeMode } from './inference/served-engine.ts';

const DEFAULT_PORT = 8787;
const DEFAULT_HOST = '127.0.0.1';
/** In the working folder; it need not be there. */
const DEFAULT_STORE = 'store';

let logForm: LogForm = 'off';
let isEnding = false;

try {
  logForm = parseLogForm(process.env['LOG']);
  const starting = startServer({
    host: process.env['HOST'] || DEFAULT_HOST,
    port: parsePort(process.env['PORT']),
    store: findStore(),
    pointerTtlMs: parsePointerTtl(process.env['POINTER_TTL_MS']),
    mode: parseEdgeMode(process.env['EDGE_MODE']),
    pool: readPoolSettings(process.env),
    page: folderOf('../web/dist'),
    reportError,
    hasMetrics: parseSwitch('METRICS', process.env['METRICS']),
    ...(logForm === 'json' ? { log: (line) => console.log(line) } : {}),
    access: {
      origins: parseOrigins(process.env['CORS_ORIGINS']),
      keys: parseApiKeys(process.env['API_KEYS']),
      requestsPerMinute: parseRateLimit(process.env['RATE_LIMIT']),
      addressHeader: parseAddressHeader(process.env['CLIENT_ADDRESS_HEADER']),
    },
  });
  // Before it listens: who can reach it can also expect it to end in order.
  endOnSignals(starting);
  const server = await starting;
  const { name, modelId } = await server.ready;
  say(`${server.url} answers with ${name} (${modelId.slice(0, 8)}). The API is described at ${server.url}/docs`);
} catch (error) {
  // A server that is told to end before its model is loaded does not load it: nothing is wrong.
  if (!isEnding) {
    reportError(error);
    process.exit(1);
  }
}

/** Whoever names a store means one that is there. */
function findStore(): string {
  const named = parseFlags().store ?? (process.env['MODEL_STORE'] || undefined);
  if (named === undefined || statSync(named, { throwIfNoEntry: false })?.isDirectory() === true) {
    return named ?? DEFAULT_STORE;
  }
  throw new ProductError('server/store', `the model store "${named}" is no folder; name one that is, or make it`);
}

function parseFlags(): { store?: string | undefined } {
  try {
    return parseArgs({ options: { store: { type: 'string' } } }).values;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ProductError('cli/usage', `${reason}; only --store DIR is expected`, { cause });
  }
}

function parseSwitch(name: string, text: string | undefined): boolean {
  if (text === undefined || text === '' || text === 'on') return true;
  if (text === 'off') return false;
  throw new ProductError('server/setting', `${name} is "${text}"; on or off is expected`);
}

function parsePort(text: string | undefined): number {
  if (text === undefined || text === '') return DEFAULT_PORT;
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new ProductError('server/port', `PORT is "${text}"; a whole number from 0 to 65535 is expected`);
}

/** The first signal lets the requests in flight finish; the second does not. */
function endOnSignals(starting: Promise<RunningServer>): void {
  const end = (): void => {
    if (isEnding) process.exit(1);
    isEnding = true;
    starting.then((server) => server.close()).then(() => process.exit(0), reportError);
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
}

function folderOf(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}

function say(message: string): void {
  console.log(logForm === 'json' ? writeMessageLine(message) : message);
}

/** What a person can mend in one line; everything else with all that is known. */
function reportError(error: unknown, requestId?: string): void {
  if (logForm === 'json') return console.error(writeErrorLine(error, requestId));
  if (requestId !== undefined) console.error(`request ${requestId}:`);
  const reason = error instanceof ProductError && error.cause instanceof ProductError ? error.cause : error;
  if (reason instanceof ProductError) console.error(`error ${reason.code}: ${reason.message}`);
  else console.error(error);
}
