/**
 * The one memory of the engine, shared out in blocks. WebAssembly memory only grows, so what is freed is kept for the
 * next model: neighbours are joined, the first hole that is large enough is taken, and what remains is grown by exactly.
 *
 *   0 ............ HEAP_START ........................................ memory.buffer.byteLength
 *   kernels' scratch | arena of activations | weights of a model | ...
 */
import { ProductError } from '../errors.ts';

/** Below it is the scratch of the kernels (`kernels/scratch.ts`). */
export const HEAP_START = 65_536;
const PAGE = 65_536;
const ALIGNMENT = 128;

interface Block {
  address: number;
  bytes: number;
}

export class Heap {
  readonly #memory: WebAssembly.Memory;
  /** Holes, by address, no two of them neighbours. */
  #holes: Block[] = [];
  readonly #used = new Map<number, number>();
  #end: number;

  constructor(memory: WebAssembly.Memory) {
    this.#memory = memory;
    this.#end = HEAP_START;
  }

  /** Bytes of the whole memory, of what is in use, and where the last block ended at most. */
  get memoryBytes(): number {
    return this.#memory.buffer.byteLength;
  }

  get usedBytes(): number {
    return [...this.#used.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  /** A block, aligned to 128 bytes, with whatever its memory held. Errors: `engine/memory` when there is no more. */
  allocate(size: number): number {
    const bytes = Math.max(ALIGNMENT, Math.ceil(size / ALIGNMENT) * ALIGNMENT);
    const index = this.#holes.findIndex((hole) => hole.bytes >= bytes);
    const hole = this.#holes[index];
    let address: number;
    if (hole === undefined) {
      const last = this.#holes.at(-1);
      const isAtEnd = last !== undefined && last.address + last.bytes === this.#end;
      address = isAtEnd ? last.address : this.#end;
      this.#grow(address + bytes);
      if (isAtEnd) this.#holes.pop();
      this.#end = address + bytes;
    } else {
      address = hole.address;
      if (hole.bytes === bytes) this.#holes.splice(index, 1);
      else this.#holes[index] = { address: address + bytes, bytes: hole.bytes - bytes };
    }
    this.#used.set(address, bytes);
    return address;
  }

  free(address: number): void {
    const bytes = this.#used.get(address);
    if (bytes === undefined) throw new Error(`internal: no block at ${address}`);
    this.#used.delete(address);
    const joined: Block[] = [];
    for (const block of [...this.#holes, { address, bytes }].toSorted((a, b) => a.address - b.address)) {
      const last = joined.at(-1);
      if (last !== undefined && last.address + last.bytes === block.address) last.bytes += block.bytes;
      else joined.push({ ...block });
    }
    this.#holes = joined;
  }

  /** Views are valid until the memory grows: make them where they are used. */
  bytes(address: number, length: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#memory.buffer, address, length);
  }

  floats(address: number, length: number): Float32Array<ArrayBuffer> {
    return new Float32Array(this.#memory.buffer, address, length);
  }

  #grow(end: number): void {
    const missing = Math.ceil((end - this.memoryBytes) / PAGE);
    if (missing <= 0) return;
    try {
      this.#memory.grow(missing);
    } catch (error) {
      throw new ProductError(
        'engine/memory',
        `the engine needs ${end} bytes of WebAssembly memory and gets no more than ${this.memoryBytes}; free a model first, or serve a smaller one`,
        { cause: error },
      );
    }
  }
}
