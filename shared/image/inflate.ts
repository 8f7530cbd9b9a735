/**
 * Inflating with a cap: the platform's own DecompressionStream, fed in small slices and read piece by piece, so that a
 * bomb never holds more than one slice's worth of output beyond what was expected.
 *
 * Only the zlib format: its checksum and its end are verified on every platform, while for `deflate-raw` Node ignores
 * bytes after the end.
 */
import { AT_ONCE_BYTES, type ZlibAtOnce } from './zlib-at-once.ts';

/** One byte of deflate gives at most 1032 bytes: at most 16 MiB come out of one slice. */
const SLICE_BYTES = 16 * 1024;

export interface InflateOptions {
  /** zlib streams may be cut anywhere, as PNG cuts them into chunks. */
  parts: readonly Uint8Array[];
  expectedBytes: number;
  /** Receives the output in order, never more than `expectedBytes` in all. The piece is only lent. */
  write: (piece: Uint8Array) => void;
  /** Used for what is small and sound. */
  zlib?: ZlibAtOnce | undefined;
}

/**
 * `complete`: exactly the expected bytes, checksum right, nothing behind the end of the stream. `short`: a sound stream
 * with fewer. `long`: more output than expected; reading stopped there. `broken`: not a zlib stream, damaged, cut off,
 * or followed by other bytes. What `write` throws passes through.
 */
export type InflateOutcome = 'complete' | 'short' | 'long' | 'broken';

export async function inflate(options: InflateOptions): Promise<InflateOutcome> {
  const { parts, expectedBytes, write } = options;
  const whole = inflateAtOnce(options);
  if (whole !== undefined) {
    write(whole);
    return 'complete';
  }
  const slices = sliceParts(parts);
  const source = new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      pull(controller) {
        const { done, value } = slices.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
    },
    { highWaterMark: 0 },
  );
  const reader = source.pipeThrough(new DecompressionStream('deflate')).getReader();
  let received = 0;
  for (;;) {
    const piece = await readPiece(reader);
    if (piece === 'broken') return 'broken';
    if (piece === 'end') return received === expectedBytes ? 'complete' : 'short';
    received += piece.length;
    if (received > expectedBytes) {
      await leave(reader);
      return 'long';
    }
    try {
      write(piece);
    } catch (error) {
      await leave(reader);
      throw error;
    }
  }
}

/** Exactly the expected bytes of a sound stream. What is wrong with any other one, the stream tells. */
function inflateAtOnce({ parts, expectedBytes, zlib }: InflateOptions): Uint8Array | undefined {
  if (zlib === undefined || expectedBytes > AT_ONCE_BYTES) return undefined;
  const [first, ...others] = parts;
  // Cut into chunks, it would have to be joined first.
  if (first === undefined || others.length > 0 || first.length > AT_ONCE_BYTES) return undefined;
  const whole = zlib.inflate(first, expectedBytes);
  return whole?.length === expectedBytes ? whole : undefined;
}

/** What follows the pieces that were read may be broken too; nobody wants to know any more. */
async function leave(reader: ReadableStreamDefaultReader): Promise<void> {
  await reader.cancel().catch(() => undefined);
}

async function readPiece(
  reader: ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>,
): Promise<Uint8Array<ArrayBuffer> | 'end' | 'broken'> {
  try {
    const { done, value } = await reader.read();
    return done ? 'end' : value;
  } catch {
    // Every platform has its own words for it, and none says more than "bad data".
    return 'broken';
  }
}

function* sliceParts(parts: Iterable<Uint8Array>): Generator<Uint8Array<ArrayBuffer>, undefined> {
  for (const part of parts) {
    for (let start = 0; start < part.length; start += SLICE_BYTES) yield part.slice(start, start + SLICE_BYTES);
  }
  return undefined;
}
