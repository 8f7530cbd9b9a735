/**
 * Memory for shards. What is given back is read into again where the platform can do that, and freed at once where it
 * cannot: an isolate's limit counts what the garbage collector has not come to yet.
 */
import { MAX_SHARD_BYTES } from '../../shared/manifest.ts';
import type { AssetSource } from '../asset-source.ts';

export class ShardBuffers {
  readonly #source: AssetSource;
  readonly #free: ArrayBuffer[] = [];

  constructor(source: AssetSource) {
    this.#source = source;
  }

  /** The bytes of a file of at most {@link MAX_SHARD_BYTES}, or more than these of one that is longer. */
  async read(path: string): Promise<Uint8Array<ArrayBuffer> | undefined> {
    if (this.#source.readInto === undefined) return this.#source.read(path);
    return this.#source.readInto(path, this.#free.pop() ?? new ArrayBuffer(MAX_SHARD_BYTES + 1));
  }

  /** Nobody uses this shard any more. */
  giveBack({ buffer }: Uint8Array): void {
    if (!(buffer instanceof ArrayBuffer)) return;
    if (this.#source.readInto === undefined) free(buffer);
    else this.#free.push(buffer);
  }

  /** Nothing more is read. */
  clear(): void {
    for (const buffer of this.#free.splice(0)) free(buffer);
  }
}

function free(buffer: ArrayBuffer): void {
  buffer.transfer(0);
}
