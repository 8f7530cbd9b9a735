/** The body of a request below /v2: counted while it arrives, and once more while it is decompressed. */
import { ProductError } from '../../shared/errors.ts';
import { readBody } from '../request/request-body.ts';
import { OIP_LIMITS } from './oip-limits.ts';

/** HTTP's names of what both platforms can decompress. */
const ENCODINGS = { gzip: 'gzip', deflate: 'deflate' } as const;
export const ACCEPTED_ENCODINGS = Object.keys(ENCODINGS).join(', ');

const LIMIT = { maxBytes: OIP_LIMITS.bodyBytes, code: 'request/too-large' } as const;

/** An empty body is no bytes. Errors: 'request/too-large', 'request/aborted', 'request/unsupported-media-type', 'request/invalid'. */
export async function readOipBody(request: Request): Promise<Uint8Array<ArrayBuffer>> {
  const encoding = (request.headers.get('content-encoding') ?? 'identity').trim().toLowerCase();
  const isKnown = encoding === 'gzip' || encoding === 'deflate';
  if (!isKnown && encoding !== 'identity') {
    throw new ProductError(
      'request/unsupported-media-type',
      `got content encoding "${encoding.slice(0, 40)}"; ${ACCEPTED_ENCODINGS}, or none, is expected`,
    );
  }
  const bytes = await readOrEmpty(request);
  if (!isKnown) return bytes;
  const packed = new Response(bytes).body ?? new ReadableStream();
  try {
    return await readOrEmpty({ body: packed.pipeThrough(new DecompressionStream(ENCODINGS[encoding])) });
  } catch (cause) {
    if (!(cause instanceof ProductError) || cause.code !== 'request/aborted') throw cause;
    throw new ProductError('request/invalid', `the body is not the ${encoding} that its header announces`, { cause });
  }
}

async function readOrEmpty(source: Pick<Request, 'body'>): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await readBody(source, LIMIT);
  } catch (error) {
    if (error instanceof ProductError && error.code === 'request/empty') return new Uint8Array();
    throw error;
  }
}
