/**
 * The callers of `npm run bench:throughput`, a process of its own, so that its processor time can be told from the
 * server's: node throughput-load.ts URL CLIENTS SECONDS FILE. Prints one line of JSON.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** The part of autocannon that is used; it has no types of its own. */
type Autocannon = (options: {
  url: string;
  connections: number;
  duration: number;
  method: 'POST';
  body: Buffer;
}) => Promise<{
  requests: { total: number };
  latency: { p50: number; p97_5: number; p99: number };
  duration: number;
  errors: number;
  non2xx: number;
}>;

const autocannon = createRequire(import.meta.url)('autocannon') as Autocannon;
const [url = '', clients = '1', seconds = '1', file = ''] = process.argv.slice(2);
const before = process.cpuUsage();
const { requests, latency, duration, errors, non2xx } = await autocannon({
  url: `${url}/classify`,
  connections: Number(clients),
  duration: Number(seconds),
  method: 'POST',
  body: readFileSync(file),
});
const { user, system } = process.cpuUsage(before);
const { p50, p97_5: p975, p99 } = latency;
const failed = errors + non2xx;
console.log(
  JSON.stringify({ total: requests.total, duration, p50, p975, p99, failed, cpuSeconds: (user + system) / 1e6 }),
);
