/** How much memory a process holds, with that of its WebAssembly instances, which V8's own figures leave out. */

const MEBIBYTE = 2 ** 20;

export interface MemorySample {
  /** In MiB, rounded. */
  rss: number;
  heap: number;
  /** Of the WebAssembly instances that are still held. */
  wasm: number;
}

/** Takes note of each instance from now on; the server notices nothing. */
export function watchMemory(): () => MemorySample {
  const memories: WeakRef<WebAssembly.Memory>[] = [];
  const Instance = WebAssembly.Instance;
  WebAssembly.Instance = new Proxy(Instance, {
    construct(target, [module, imports]: [WebAssembly.Module, WebAssembly.Imports | undefined]) {
      const instance = new target(module, imports);
      const exported = Object.values(instance.exports).filter((each) => each instanceof WebAssembly.Memory);
      const imported = Object.values(imports ?? {}).flatMap((names) => Object.values(names));
      for (const each of [...exported, ...imported]) {
        if (each instanceof WebAssembly.Memory) memories.push(new WeakRef(each));
      }
      return instance;
    },
  });
  return () => {
    const held = memories.filter((memory) => memory.deref() !== undefined);
    memories.splice(0, memories.length, ...held);
    const wasmBytes = held.reduce((sum, memory) => sum + (memory.deref()?.buffer.byteLength ?? 0), 0);
    const { rss, heapUsed } = process.memoryUsage();
    return { rss: toMebibytes(rss), heap: toMebibytes(heapUsed), wasm: toMebibytes(wasmBytes) };
  };
}

function toMebibytes(bytes: number): number {
  return Math.round(bytes / MEBIBYTE);
}

/** From the first tenth of the run on, above what it was by then: pictures of 4 megapixels come and go. */
const GROWTH_MIB = { rss: 160, heap: 40, wasm: 130 } as const satisfies Record<keyof MemorySample, number>;

/** Memory above what the first tenth of the run, or its first two blocks, needed. */
export function findGrowth(samples: readonly MemorySample[]): string | undefined {
  const warm = Math.max(2, Math.ceil(samples.length / 10));
  for (const [kind, limit] of Object.entries(GROWTH_MIB) as [keyof MemorySample, number][]) {
    const values = samples.map((sample) => sample[kind]);
    const [before, after] = [Math.max(...values.slice(0, warm)), Math.max(...values.slice(warm))];
    if (after - before > limit) return `memory (${kind}) grew from ${before} to ${after} MiB`;
  }
  return undefined;
}
