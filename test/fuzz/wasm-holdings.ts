/**
 * Imported into every thread that is fuzzed (`--import`, which threads pass on to theirs): takes note of each WebAssembly
 * instance from now on, which the server does not notice, and tells how much memory they hold when it is asked.
 */
import { BroadcastChannel, threadId } from 'node:worker_threads';

/** Asks all threads. */
export const ASKING_CHANNEL = 'wasm-holdings/ask';
/** Each answers, and says once by itself that it is there. */
export const ANSWER_CHANNEL = 'wasm-holdings/answer';

export interface WasmHoldings {
  thread: number;
  /** Of the instances that are still held. */
  bytes: number;
}

const memories: WeakRef<WebAssembly.Memory>[] = [];
const Instance = WebAssembly.Instance;
WebAssembly.Instance = new Proxy(Instance, {
  construct(target, [module, imports]: [WebAssembly.Module, WebAssembly.Imports | undefined]) {
    const instance = new target(module, imports);
    const exported = Object.values(instance.exports);
    const imported = Object.values(imports ?? {}).flatMap((names) => Object.values(names));
    for (const each of [...exported, ...imported]) {
      if (each instanceof WebAssembly.Memory) memories.push(new WeakRef(each));
    }
    return instance;
  },
});

const answers = new BroadcastChannel(ANSWER_CHANNEL);
const questions = new BroadcastChannel(ASKING_CHANNEL);
answers.unref();
questions.unref();
questions.addEventListener('message', answer);
answer();

function answer(): void {
  globalThis.gc?.();
  const held = memories.flatMap((memory) => memory.deref() ?? []);
  memories.splice(0, memories.length, ...held.map((memory) => new WeakRef(memory)));
  const bytes = [...new Set(held)].reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is of windows
  answers.postMessage({ thread: threadId, bytes } satisfies WasmHoldings);
}
