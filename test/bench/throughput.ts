/**
 * `npm run bench:throughput`: pictures a second of the Node server, with as many callers as wait for an answer each, in
 * interleaved rounds: one thread, a thread for each core, and onnxruntime behind the same server. Callers and server
 * share the machine: what each takes of it is printed.
 *
 *   --clients N   callers (default 32)
 *   --seconds N   of each round (default 8)
 *   --rounds N    (default 3)
 *   --threads N   of the larger pool (default: one for each core)
 */
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism, cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { isOnnxruntimeSetUp } from '../../train/convert/onnx/run-onnxruntime.ts';

const PICTURE = 'web/public/samples/automobile-red.png';

const { values: flags } = parseArgs({
  options: {
    clients: { type: 'string', default: '32' },
    seconds: { type: 'string', default: '8' },
    rounds: { type: 'string', default: '3' },
    threads: { type: 'string', default: String(availableParallelism()) },
  },
});

interface Contender {
  name: string;
  args: string[];
}

interface Round {
  perSecond: number;
  p50: number;
  p99: number;
  failed: number;
  /** Processor milliseconds for each answer, of the server and of the callers. */
  serverMs: number;
  loadMs: number;
  /** Share of the time in which the server's main thread worked. */
  mainBusy: number;
}

const contenders: Contender[] = [
  { name: 'edge, 1 thread', args: ['edge', '1'] },
  { name: `edge, ${flags.threads} threads`, args: ['edge', flags.threads] },
  ...(isOnnxruntimeSetUp()
    ? [
        { name: `onnxruntime, ${flags.threads} threads for a picture`, args: ['onnxruntime', flags.threads, '1'] },
        { name: `onnxruntime, ${flags.threads} pictures on a thread each`, args: ['onnxruntime', '1', flags.threads] },
      ]
    : []),
];
console.log(
  `${cpus()[0]?.model ?? 'unknown CPU'}, ${availableParallelism()} cores; Node ${process.version}; ${flags.clients} clients, ${flags.rounds} rounds of ${flags.seconds} s, medians; POST /classify with ${PICTURE}`,
);
const rounds = new Map<string, Round[]>(contenders.map(({ name }) => [name, []]));
for (let round = 0; round < Number(flags.rounds); round++) {
  for (const { name, args } of contenders) rounds.get(name)?.push(await measure(args));
}
const medianOf = (name: string, field: keyof Round): number =>
  (rounds.get(name) ?? []).map((round) => round[field]).toSorted((a, b) => a - b)[
    Math.floor(Number(flags.rounds) / 2)
  ] ?? Number.NaN;
const baseline = medianOf(contenders[0]?.name ?? '', 'perSecond');
for (const { name } of contenders) {
  const [perSecond, p50, p99] = (['perSecond', 'p50', 'p99'] as const).map((field) => medianOf(name, field));
  const failed = (rounds.get(name) ?? []).reduce((sum, round) => sum + round.failed, 0);
  console.log(
    `${name.padEnd(38)} ${(perSecond ?? 0).toFixed(1).padStart(7)} /s  ${((perSecond ?? 0) / baseline).toFixed(2)}x  p50 ${p50} ms  p99 ${p99} ms  failed ${failed}  processor time for an answer: server ${medianOf(name, 'serverMs').toFixed(2)} ms, callers ${medianOf(name, 'loadMs').toFixed(2)} ms; main thread busy ${(100 * medianOf(name, 'mainBusy')).toFixed(0)} %`,
  );
}

async function measure(args: readonly string[]): Promise<Round> {
  const server = fork(fileURLToPath(new URL('./throughput-server.ts', import.meta.url)), args);
  try {
    const [{ url }] = (await once(server, 'message')) as [{ url: string }];
    // Warm, and all threads there.
    await load(url, 2);
    server.send('reset');
    const { total, duration, p50, p99, failed, cpuSeconds } = await load(url, Number(flags.seconds));
    const reported = once(server, 'message') as Promise<[{ cpuSeconds: number; mainBusy: number }]>;
    server.send('report');
    const [{ cpuSeconds: serverSeconds, mainBusy }] = await reported;
    return {
      perSecond: total / duration,
      p50,
      p99,
      failed,
      serverMs: (1000 * serverSeconds) / total,
      loadMs: (1000 * cpuSeconds) / total,
      mainBusy,
    };
  } finally {
    server.disconnect();
    if (server.exitCode === null) await once(server, 'exit');
  }
}

interface Load {
  total: number;
  duration: number;
  p50: number;
  p99: number;
  failed: number;
  cpuSeconds: number;
}

async function load(url: string, seconds: number): Promise<Load> {
  const script = fileURLToPath(new URL('./throughput-load.ts', import.meta.url));
  const child = spawn(process.execPath, [script, url, flags.clients, String(seconds), PICTURE], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.on('data', (data: Buffer) => (printed += data.toString()));
  const [status] = (await once(child, 'close')) as [number | null];
  if (status !== 0) throw new Error(`the callers ended with ${status}`);
  return JSON.parse(printed) as Load;
}
