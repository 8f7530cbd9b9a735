/** zlib as Node has it, without a stream. */
import { deflateSync, inflateSync, type Inflate } from 'node:zlib';
import type { ZlibAtOnce } from '../../shared/image/zlib-at-once.ts';

export const NODE_ZLIB: ZlibAtOnce = {
  inflate(stream, maxBytes) {
    try {
      // With `info` it tells how far it read, which its types leave out.
      const told: unknown = inflateSync(stream, { maxOutputLength: maxBytes, info: true });
      const { buffer, engine } = told as { buffer: Uint8Array; engine: Inflate };
      return engine.bytesWritten === stream.length ? buffer : undefined;
    } catch {
      return undefined;
    }
  },
  deflate: (bytes) => deflateSync(bytes),
};
