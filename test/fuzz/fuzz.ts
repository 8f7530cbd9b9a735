/**
 * `npm run fuzz -- [--count 20000] [--seed 1] [--from 0] [--only INDEX]`: damaged pictures, forms, tokens, JSON, tensors and
 * addresses to the real server. Each answer must be one that /openapi.json names, with a problem of a known code where it
 * is a refusal; after every block a good picture must be answered with the same bits as at first; no input may crash the
 * server or take longer than the limit; memory must stay flat. An input is the same for a seed and an index, so that
 * `--seed S --only INDEX` repeats it. Ends with 1 when it finds anything.
 */
import { parseArgs } from 'node:util';
import { drawRequest } from './draw-request.ts';
import { IDLE, type FuzzEvent } from './fuzz-plan.ts';
import { watchLanes } from './lane-watch.ts';
import { findMemoryFault, type MemorySample } from './memory-watch.ts';
import { startFuzzWorker } from './start-fuzz-worker.ts';

/** Inputs between two looks at life and memory. */
const BLOCK_INPUTS = 1000;
/** A loaded machine may stop a thread for seconds. */
const PATIENCE_MS = 20_000;
const MOST_FINDINGS = 20;
const PROGRESS_INPUTS = 10_000;
/** No more than the evaluations that a server takes at once, or some would rightly be refused. */
const LANES = 4;

const { seed, from, count } = parseOptions();
process.exitCode = await main();

async function main(): Promise<number> {
  if (count === 1) describeInput();
  const startedAt = performance.now();
  const sinceStart = (): string => ((performance.now() - startedAt) / 1000).toFixed(1);
  const samples: MemorySample[] = [];
  const faults: string[] = [];
  let statuses: ReadonlyMap<number, number> = new Map();
  const report = (fault: string, indices: readonly number[] = []): void => {
    faults.push(fault);
    console.log(`FOUND  ${fault}`);
    for (const index of indices) console.log(`       npm run fuzz -- --seed ${seed} --only ${index}`);
  };

  const lanes = new SharedArrayBuffer(LANES * Float64Array.BYTES_PER_ELEMENT);
  const worker = startFuzzWorker({ seed, from, count, blockInputs: BLOCK_INPUTS, lanes });
  const inWork = (): string => [...new Float64Array(lanes)].filter((index) => index !== IDLE).join(', ');
  await new Promise<void>((resolve) => {
    const watch = watchLanes(lanes, PATIENCE_MS, (index) => {
      report(`input ${index} has no answer after ${PATIENCE_MS} ms`, [index]);
      resolve();
    });
    worker.on('error', (error) => report(`a crash with the inputs ${inWork()} in work: ${error.stack}`));
    worker.on('exit', (code) => {
      if (code !== 0 && faults.length === 0) report(`an exit with ${code}, with the inputs ${inWork()} in work`);
      clearInterval(watch);
      resolve();
    });
    worker.on('message', (event: FuzzEvent) => {
      if (event.type === 'end') ({ statuses } = event);
      else if (event.type === 'finding') {
        const { index, request, fault, suspects } = event.finding;
        report(`input ${index} (${request.kind}: ${request.method} ${request.path}): ${fault}`, suspects);
        if (faults.length >= MOST_FINDINGS) resolve();
      } else if (event.type === 'block') {
        samples.push(event.memory);
        if (event.done % PROGRESS_INPUTS !== 0 && event.done !== count) return;
        const { rss, heap, wasm } = event.memory;
        console.log(`${event.done} inputs in ${sinceStart()} s; memory ${rss} MiB, heap ${heap}, WebAssembly ${wasm}`);
      }
    });
  });
  await worker.terminate();

  const memoryFault = findMemoryFault(samples);
  if (memoryFault !== undefined) report(memoryFault);
  const counts = [...statuses].toSorted(([a], [b]) => a - b).map(([status, each]) => `${status}: ${each}`);
  console.log(`answers by status: ${counts.join(', ')}`);
  console.log(`seed ${seed}, inputs ${from} to ${from + count - 1}: ${faults.length} findings in ${sinceStart()} s`);
  return faults.length === 0 ? 0 : 1;
}

function describeInput(): void {
  const { kind, method, path, headers, body } = drawRequest(seed, from);
  console.log(`${kind}: ${method} ${path}\n${JSON.stringify(headers)}\n${body?.length ?? 0} bytes`);
  if (body !== undefined) console.log(Buffer.from(body).toString('base64'));
}

function parseOptions(): { seed: number; from: number; count: number } {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: '20000' },
      seed: { type: 'string', default: '1' },
      from: { type: 'string', default: '0' },
      only: { type: 'string' },
    },
  });
  const read = (name: keyof typeof values): number => {
    const number = Number(values[name]);
    if (Number.isSafeInteger(number) && number >= 0) return number;
    throw new Error(`--${name} is "${values[name]}"; a whole number from 0 on is expected`);
  };
  if (values.only !== undefined) return { seed: read('seed'), from: read('only'), count: 1 };
  return { seed: read('seed'), from: read('from'), count: read('count') };
}
