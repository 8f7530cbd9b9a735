/**
 * What a platform may hand in beside its streams: zlib in one call. A small picture is inflated before a stream for it is
 * made, and streams leave their work to other threads. Whoever has none goes without.
 */
export interface ZlibAtOnce {
  /** The whole output of one sound zlib stream and nothing behind it; undefined for anything else, or for more than `maxBytes`. */
  inflate(stream: Uint8Array, maxBytes: number): Uint8Array | undefined;
  /** The same bytes as the platform's CompressionStream('deflate'). */
  deflate(bytes: Uint8Array): Uint8Array;
}

/** From here on a stream costs little beside its work, and keeps less in memory. */
export const AT_ONCE_BYTES = 64 * 1024;
