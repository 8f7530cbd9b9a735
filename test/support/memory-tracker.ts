/** Replaces constructors, so it must be imported before anybody else takes memory. */

export interface TrackedMemory {
  /** Of each WebAssembly memory that has not been collected. */
  wasmBytes: number[];
  arrayBytes: number;
  /** The largest sum of both since it was last read. Nothing that is garbage but not collected is left out. */
  peakBytes: number;
}

const LARGE_BYTES = 1_000_000;
const memories = new Set<WeakRef<WebAssembly.Memory>>();
const buffers = new Set<WeakRef<ArrayBuffer>>();
const known = new WeakSet<object>();
let peakBytes = 0;

function measure(): { wasmBytes: number[]; arrayBytes: number } {
  const wasm = new Set<ArrayBufferLike>();
  for (const reference of memories) {
    const memory = reference.deref();
    if (memory === undefined) memories.delete(reference);
    else wasm.add(memory.buffer);
  }
  let arrayBytes = 0;
  for (const reference of buffers) {
    const buffer = reference.deref();
    if (buffer === undefined) buffers.delete(reference);
    else if (!wasm.has(buffer)) arrayBytes += buffer.byteLength;
  }
  return { wasmBytes: [...wasm].map(({ byteLength }) => byteLength), arrayBytes };
}

function note(): void {
  const { wasmBytes, arrayBytes } = measure();
  peakBytes = Math.max(peakBytes, arrayBytes + wasmBytes.reduce((sum, bytes) => sum + bytes, 0));
}

export function readTrackedMemory(): TrackedMemory {
  note();
  const told = { ...measure(), peakBytes };
  peakBytes = 0;
  return told;
}

function addMemory(memory: WebAssembly.Memory): void {
  memories.add(new WeakRef(memory));
  note();
}

function addBuffer(buffer: ArrayBufferLike): void {
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength < LARGE_BYTES || known.has(buffer)) return;
  known.add(buffer);
  buffers.add(new WeakRef(buffer));
  note();
}

const grow = Object.getOwnPropertyDescriptor(WebAssembly.Memory.prototype, 'grow')?.value as (pages: number) => number;
WebAssembly.Memory.prototype.grow = new Proxy(grow, {
  apply(target, memory, values: [number]) {
    const before = Reflect.apply(target, memory, values);
    note();
    return before;
  },
});

WebAssembly.Instance = new Proxy(WebAssembly.Instance, {
  construct(target, values, newTarget) {
    const instance = Reflect.construct(target, values, newTarget) as WebAssembly.Instance;
    for (const value of Object.values(instance.exports)) if (value instanceof WebAssembly.Memory) addMemory(value);
    return instance;
  },
});

for (const name of ['Uint8Array', 'Uint8ClampedArray', 'Float32Array'] as const) {
  const proxy = new Proxy(globalThis[name], {
    construct(target, values, newTarget) {
      const array = Reflect.construct(target, values, newTarget) as Uint8Array;
      addBuffer(array.buffer);
      return array;
    },
  });
  Object.defineProperty(globalThis, name, { value: proxy, configurable: true, writable: true });
}
