/**
 * `npm run bench:isolate`: memory of the Worker in workerd with models of real size, and its first answer.
 *
 *   --requests N   pictures before the first figure (default 1000)
 *   --swaps N      swaps of the champion (default 100)
 *   --starts N     fresh processes for the first answer, half the model from static assets, half from R2 (default 15 each)
 *
 * How it is read: WebAssembly memories and byte arrays of 1 MB and more by replaced constructors in the isolate
 * (test/support/memory-tracker.ts), including what is garbage and not collected; the V8 heap by the inspector
 * (Runtime.getHeapUsage), with its garbage and then without, so that a line has only the garbage since the last; resident
 * memory of all of wrangler's workerd processes from /proc, as a second witness; their processor time also from there,
 * which a busy machine changes less than the clock.
 */
import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { encodeLargeJpeg } from '../support/large-jpeg.ts';
import { pointTo, putModel, readShippedAs } from '../support/real-size-models.ts';
import { readSample, startTrackedIsolate, type TrackedIsolate } from '../support/tracked-isolate.ts';
import { openBucket, startWorker } from '../support/worker-process.ts';
import { median } from './median.ts';

/** The answer of wrangler's own proxy, not of the Worker, to a request during a restart of its development server. */
const WRANGLER_RESTARTED = 'Your worker restarted mid-request';

const { values: flags } = parseArgs({
  options: {
    requests: { type: 'string', default: '1000' },
    swaps: { type: 'string', default: '100' },
    starts: { type: 'string', default: '15' },
  },
});
console.log(
  `${cpus()[0]?.model ?? 'unknown CPU'}, ${cpus().length} cores; Node ${process.version}, workerd as of wrangler`,
);
const sample = await readSample();
await measureMemory();
for (const source of ['static assets', 'R2'] as const) await measureStarts(source, Number(flags.starts));

async function measureMemory(): Promise<void> {
  const large = await encodeLargeJpeg();
  const isolate = await startTrackedIsolate();
  try {
    for (let request = 0; request < Number(flags.requests); request++) await isolate.classify(sample);
    await tell(isolate, `after ${flags.requests} pictures`);
    for (let swap = 1; swap <= Number(flags.swaps); swap++) {
      await isolate.swap(sample);
      if (swap === 1) await tell(isolate, 'after one swap');
    }
    await tell(isolate, `after ${flags.swaps} swaps`);
    await isolate.classify(large);
    await tell(isolate, 'after one 4-megapixel progressive JPEG');
    for (let swap = 1; swap <= 3; swap++) await isolate.swap(large);
    await tell(isolate, `swaps, each with 4-megapixel progressive JPEGs of ${megabytes(large.length)}`);
  } finally {
    await isolate.stop();
  }
}

async function tell(isolate: TrackedIsolate, what: string): Promise<void> {
  const { wasmBytes, arrayBytes, peakBytes, ...heap } = await isolate.readMemory();
  const { heapUsedBytes, heapCommittedBytes, heapLiveBytes } = heap;
  const wasm = wasmBytes.reduce((sum, bytes) => sum + bytes, 0);
  console.log(
    `${what}: WebAssembly ${wasmBytes.map(megabytes).join(' + ')}, V8 heap ${megabytes(heapUsedBytes)} used of ${megabytes(heapCommittedBytes)}, ${megabytes(heapLiveBytes)} without garbage, sum ${megabytes(wasm + heapUsedBytes)}, ${megabytes(wasm + heapLiveBytes)} without garbage; byte arrays ${megabytes(arrayBytes)}; peak since the last line ${megabytes(peakBytes)} + heap = ${megabytes(peakBytes + heapUsedBytes)}; resident ${megabytes(await readResident(isolate.pid))}`,
  );
}

/** From the moment in which the server listens; the model is loaded by that first request. */
async function measureStarts(source: 'static assets' | 'R2', starts: number): Promise<void> {
  const state = await mkdtemp(join(tmpdir(), 'resnet18-edge-'));
  if (source === 'R2') {
    const bucket = await openBucket({ state });
    const model = await readShippedAs('real.first');
    await putModel(bucket, model);
    await pointTo(bucket, model.modelId, 1);
    await bucket.close();
  }
  const wall: number[] = [];
  const processor: number[] = [];
  let restarts = 0;
  while (wall.length < starts) {
    const worker = await startWorker({ state });
    try {
      const processorBefore = await readProcessorTime(worker.pid);
      const from = performance.now();
      const response = await fetch(`${worker.url}/classify`, { method: 'POST', body: sample });
      const text = await response.text();
      const ms = performance.now() - from;
      if (response.status === 200) {
        wall.push(ms);
        processor.push((await readProcessorTime(worker.pid)) - processorBefore);
      } else if (response.status === 503 && text.startsWith(WRANGLER_RESTARTED) && restarts < starts) restarts++;
      else throw new Error(`the first answer is ${response.status}: ${text}\n${worker.output}`);
    } finally {
      await worker.stop();
    }
  }
  if (starts === 0) return;
  console.log(
    `first answer, model from ${source}: ${spread(wall)}; processor time of all workerd threads ${spread(processor)} (n = ${starts}${restarts > 0 ? `, and ${restarts} in which wrangler restarted the Worker` : ''}; load ${loadavg()[0]?.toFixed(1)})`,
  );
}

function spread(times: readonly number[]): string {
  return `median ${median(times).toFixed(0)} ms, ${Math.min(...times).toFixed(0)} to ${Math.max(...times).toFixed(0)}`;
}

/** Ids of the workerd processes below a process. */
function listWorkerds(pid: number): number[] {
  const rows = execFileSync('ps', ['-eo', 'pid=,ppid=,comm='], { encoding: 'utf8' }).trim().split('\n');
  const processes = rows.map((row) => row.trim().split(/\s+/));
  const listBelow = (parent: number): number[] =>
    processes
      .filter(([, above]) => Number(above) === parent)
      .flatMap(([child, , command = '']) => [
        ...(command.includes('workerd') ? [Number(child)] : []),
        ...listBelow(Number(child)),
      ]);
  return listBelow(pid);
}

/** Milliseconds that the threads of the workerd processes have computed; those that have ended do not count. */
async function readProcessorTime(pid: number): Promise<number> {
  let nanoseconds = 0;
  for (const workerd of listWorkerds(pid)) {
    for (const thread of await readdir(`/proc/${workerd}/task`)) {
      const text = await readFile(`/proc/${workerd}/task/${thread}/schedstat`, 'utf8').catch(() => '0');
      nanoseconds += Number(text.split(' ')[0]);
    }
  }
  return nanoseconds / 1e6;
}

/** Of the workerd processes below a process. */
async function readResident(pid: number): Promise<number> {
  const statuses = await Promise.all(listWorkerds(pid).map((child) => readFile(`/proc/${child}/status`, 'utf8')));
  return statuses.reduce((sum, status) => sum + Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024, 0);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
