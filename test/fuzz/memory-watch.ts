/** How much memory a process holds, with that of the WebAssembly instances of its threads, which V8's figures leave out. */
import { BroadcastChannel } from 'node:worker_threads';
import { ANSWER_CHANNEL, ASKING_CHANNEL, type WasmHoldings } from './wasm-holdings.ts';

const MEBIBYTE = 2 ** 20;
/** For threads that have ended since they last answered. */
const PATIENCE_MS = 2000;

export interface MemorySample {
  /** In MiB, rounded. */
  rss: number;
  heap: number;
  /** Of the WebAssembly instances that are still held, in all threads that have `wasm-holdings.ts`. */
  wasm: number;
}

/** Hears of the threads that begin from now on. */
export function watchMemory(): () => Promise<MemorySample> {
  const bytesOf = new Map<number, number>();
  const waitedFor = new Set<number>();
  let allHaveAnswered = (): void => undefined;
  const answers = new BroadcastChannel(ANSWER_CHANNEL);
  const questions = new BroadcastChannel(ASKING_CHANNEL);
  answers.unref();
  questions.unref();
  answers.addEventListener('message', (event) => {
    const { thread, bytes } = (event as MessageEvent<WasmHoldings>).data;
    bytesOf.set(thread, bytes);
    waitedFor.delete(thread);
    if (waitedFor.size === 0) allHaveAnswered();
  });
  return async () => {
    for (const thread of bytesOf.keys()) waitedFor.add(thread);
    const answered = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, PATIENCE_MS);
      allHaveAnswered = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is of windows
    questions.postMessage(null);
    await answered;
    for (const gone of waitedFor) bytesOf.delete(gone);
    waitedFor.clear();
    const wasmBytes = [...bytesOf.values()].reduce((sum, bytes) => sum + bytes, 0);
    const { rss, heapUsed } = process.memoryUsage();
    return { rss: toMebibytes(rss), heap: toMebibytes(heapUsed), wasm: toMebibytes(wasmBytes) };
  };
}

function toMebibytes(bytes: number): number {
  return Math.round(bytes / MEBIBYTE);
}

/** From the first tenth of the run on, above what it was by then: pictures of 4 megapixels come and go. */
const GROWTH_MIB = { rss: 160, heap: 40, wasm: 130 } as const satisfies Record<keyof MemorySample, number>;

/** Memory above what the first tenth of the run, or its first two blocks, needed; or of which nothing was seen. */
export function findMemoryFault(samples: readonly MemorySample[]): string | undefined {
  if (samples.some(({ wasm }) => wasm === 0)) {
    return 'no WebAssembly memory is seen, though the server has an engine: its threads lack wasm-holdings.ts';
  }
  const warm = Math.max(2, Math.ceil(samples.length / 10));
  for (const [kind, limit] of Object.entries(GROWTH_MIB) as [keyof MemorySample, number][]) {
    const values = samples.map((sample) => sample[kind]);
    const [before, after] = [Math.max(...values.slice(0, warm)), Math.max(...values.slice(warm))];
    if (after - before > limit) return `memory (${kind}) grew from ${before} to ${after} MiB`;
  }
  return undefined;
}
