/**
 * `npm run fuzz:api -- [--cases 5000] [--seed 1]`: schemathesis, made by others, against the real server and its
 * /openapi.json: no answer may be a 5xx, undocumented, or other than its schema says. What it is told beside the document
 * is in schemathesis.toml. Ends with 1 when it finds anything, when the server had anything to report, or when fewer
 * requests were sent than asked for; with 2 when there is no schemathesis.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startFuzzedServer } from './fuzzed-server.ts';

const PYTHON = process.env['PYTHON'] || 'python3';
/**
 * Requests for each operation and unit of --max-examples, and those that are sent whatever it is (the coverage of each
 * schema, the methods that a path has not): measured, and a little less.
 */
const REQUESTS = { ofEach: 32, atLeast: 900 };
const PATIENCE_S = 60;

process.exitCode = await main();

async function main(): Promise<number> {
  const { cases, seed } = parseOptions();
  const version = spawnSync(PYTHON, ['-m', 'schemathesis.cli', '--version'], { encoding: 'utf8' });
  if (version.status !== 0) {
    console.error(`no schemathesis; run: ${PYTHON} -m pip install schemathesis==4.32.5, or set PYTHON`);
    return 2;
  }
  const server = await startFuzzedServer();
  // It leaves files where it runs.
  const folder = await mkdtemp(join(tmpdir(), 'resnet18-edge-schemathesis-'));
  const startedAt = performance.now();
  try {
    const { status, output } = await run(server.url, { cases, seed, folder });
    const sent = Number(/(\d+) generated/.exec(output)?.[1] ?? 0);
    for (const error of server.reported) console.log('the server reports', error);
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    console.log(
      `${version.stdout.trim()}, seed ${seed}: ${sent} requests in ${seconds} s, at least ${cases} were asked for; ${server.reported.length} reports of the server; schemathesis ends with ${status}`,
    );
    return status === 0 && sent >= cases && server.reported.length === 0 ? 0 : 1;
  } finally {
    await server.end();
    await rm(folder, { recursive: true });
  }
}

interface RunOptions {
  cases: number;
  seed: number;
  folder: string;
}

async function run(url: string, { cases, seed, folder }: RunOptions): Promise<{ status: number; output: string }> {
  const examples = Math.max(1, Math.ceil((cases - REQUESTS.atLeast) / REQUESTS.ofEach));
  const flags = [
    ...['--config-file', join(import.meta.dirname, 'schemathesis.toml')],
    ...['run', `${url}/openapi.json`, '--seed', String(seed), '--max-examples', String(examples)],
    ...['--request-timeout', String(PATIENCE_S), '--no-color'],
  ];
  const child = spawn(PYTHON, ['-m', 'schemathesis.cli', ...flags], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, SCHEMATHESIS_HOOKS: join(import.meta.dirname, 'schemathesis-hooks.py') },
  });
  let output = '';
  child.stdout.on('data', (data: Buffer) => {
    output += data.toString();
    process.stdout.write(data);
  });
  const [status] = (await once(child, 'close')) as [number | null];
  return { status: status ?? 1, output };
}

function parseOptions(): { cases: number; seed: number } {
  const { values } = parseArgs({
    options: { cases: { type: 'string', default: '5000' }, seed: { type: 'string', default: '1' } },
  });
  const [cases, seed] = [Number(values.cases), Number(values.seed)];
  if (Number.isSafeInteger(cases) && cases > 0 && Number.isSafeInteger(seed) && seed >= 0) return { cases, seed };
  throw new Error('npm run fuzz:api -- [--cases 5000] [--seed 1]; whole numbers are expected');
}
