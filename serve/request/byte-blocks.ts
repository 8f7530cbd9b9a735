/** Bytes that arrive in chunks of any size. */

/** From so many bytes on, blocks grow no more. */
const LARGEST_BLOCK = 64 * 1024;

/**
 * Collects chunks in blocks of its own: a chunk is an object of more than a hundred bytes, also where a caller sends one
 * byte in each. What is added is copied once into a block, and once more when several blocks are joined.
 *
 * Memory   the bytes and at most 64 KiB, or as much again where that is less; joining adds the bytes once more
 */
export class ByteBlocks {
  #full: Uint8Array<ArrayBuffer>[] = [];
  #open = new Uint8Array(0);
  #openFilled = 0;
  #length = 0;

  /** Bytes that are held. */
  get length(): number {
    return this.#length;
  }

  add(chunk: Uint8Array): void {
    const room = this.#open.length - this.#openFilled;
    const isFitting = chunk.length <= room;
    this.#open.set(isFitting ? chunk : chunk.subarray(0, room), this.#openFilled);
    this.#openFilled += Math.min(chunk.length, room);
    this.#length += chunk.length;
    if (isFitting) return;
    const rest = chunk.subarray(room);
    if (this.#open.length > 0) this.#full.push(this.#open);
    this.#open = new Uint8Array(Math.max(rest.length, Math.min(LARGEST_BLOCK, this.#length)));
    this.#open.set(rest);
    this.#openFilled = rest.length;
  }

  /** All bytes in their order, which are the caller's; nothing is held any more. */
  take(): Uint8Array<ArrayBuffer> {
    const taken = this.#full.length === 0 && this.#openFilled === this.#open.length ? this.#open : this.#join();
    this.#full = [];
    this.#open = new Uint8Array(0);
    this.#openFilled = 0;
    this.#length = 0;
    return taken;
  }

  #join(): Uint8Array<ArrayBuffer> {
    const joined = new Uint8Array(this.#length);
    let offset = 0;
    for (const block of [...this.#full, this.#open.subarray(0, this.#openFilled)]) {
      joined.set(block, offset);
      offset += block.length;
    }
    return joined;
  }
}

/** The same bytes in chunks of at least 64 KiB, but for the last one. Errors: those of `chunks`. */
export async function* gatherChunks(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const waiting = new ByteBlocks();
  for await (const chunk of chunks) {
    waiting.add(chunk);
    if (waiting.length >= LARGEST_BLOCK) yield waiting.take();
  }
  if (waiting.length > 0) yield waiting.take();
}
