/**
 * Signed requests to one bucket behind S3's interface, and what their failures mean. Requests are repeated where the
 * server or the network may do better the next time.
 */
import { AwsClient } from 'aws4fetch';
import { ProductError } from '../../shared/errors.ts';
import { sha256Hex } from '../sha256.ts';
import { repeat, TRIES } from './repeat.ts';

export interface S3Location {
  /** For example `https://<account>.r2.cloudflarestorage.com`. */
  endpoint: string;
  bucket: string;
  region: string;
}

export interface S3Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

interface S3Request {
  method?: 'GET' | 'HEAD' | 'PUT';
  /** With query, relative to the bucket. */
  path: string;
  headers?: Record<string, string>;
  body?: Uint8Array<ArrayBuffer>;
}

export interface S3Answer {
  status: number;
  headers: Headers;
  body: Uint8Array<ArrayBuffer>;
  /** An earlier try ended without an answer: it may have done the work. */
  isRepeated: boolean;
}

export type S3Client = (request: S3Request, expected: readonly number[]) => Promise<S3Answer>;

/** Too many requests, and S3's word for two conditional writes at once. */
const WORTH_REPEATING = [409, 429];

/**
 * `expected` are the statuses that mean something to the caller.
 *
 * Errors   'store/credentials', 'store/missing' without the bucket, 'store/unavailable'
 */
export function createS3Client(name: string, location: S3Location, credentials: S3Credentials): S3Client {
  const aws = new AwsClient({ ...credentials, service: 's3', region: location.region, retries: 0 });
  const base = `${location.endpoint.replace(/\/+$/, '')}/${location.bucket}`;

  async function send({ method = 'GET', path, headers, body }: S3Request): Promise<Omit<S3Answer, 'isRepeated'>> {
    // The hash is signed with the request, so the server refuses bytes that changed on the way.
    const content: Record<string, string> = body === undefined ? {} : { 'x-amz-content-sha256': await sha256Hex(body) };
    const response = await aws.fetch(`${base}${path}`, {
      method,
      headers: { ...headers, ...content },
      ...(body === undefined ? {} : { body }),
    });
    return {
      status: response.status,
      headers: response.headers,
      body: new Uint8Array(await response.arrayBuffer()),
    };
  }

  return async (request, expected) => {
    try {
      return await repeat(async (isRepeated) => {
        const answer = await send(request);
        const { status, body } = answer;
        if (expected.includes(status)) return { ...answer, isRepeated };
        if (status < 500 && !WORTH_REPEATING.includes(status)) throw refuse(name, location, answer);
        throw new Error(`status ${status} ${describeBody(body)}`);
      });
    } catch (cause) {
      if (cause instanceof ProductError) throw cause;
      throw new ProductError(
        'store/unavailable',
        `${name} did not answer as it should (${describeCause(cause)}, ${TRIES} tries); look at the endpoint ${location.endpoint} and the network, then try again`,
        { cause },
      );
    }
  };
}

function refuse(name: string, { endpoint, bucket, region }: S3Location, answer: Omit<S3Answer, 'isRepeated'>) {
  const { status, body } = answer;
  const text = describeBody(body);
  if (status === 401 || status === 403 || /Signature|AccessKey|access key|AuthorizationHeader/.test(text)) {
    return new ProductError(
      'store/credentials',
      `${name} refuses these credentials for region "${region}" (status ${status} ${text}); an access key that may read and write the bucket is expected in R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY`,
    );
  }
  if (status === 404 && text.includes('NoSuchBucket')) {
    return new ProductError(
      'store/missing',
      `there is no bucket "${bucket}" at ${endpoint} (status 404 ${text}); make it, or correct --store`,
    );
  }
  return new ProductError(
    'store/unavailable',
    `${name} answered with status ${status} ${text}, which is not expected; look at the endpoint ${endpoint}`,
  );
}

/** S3's own code and message, or nothing for an empty body. */
function describeBody(body: Uint8Array): string {
  const text = new TextDecoder().decode(body);
  const parts = ['Code', 'Message'].map((tag) => new RegExp(`<${tag}>([^<]*)`).exec(text)?.[1] ?? '');
  return parts.filter((part) => part !== '').join(': ');
}

/** fetch() says only "fetch failed"; the reason is its cause. */
function describeCause(error: unknown): string {
  const reason = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const { code, message } = reason as { code?: string; message?: string };
  return [code, message].filter((part) => part !== undefined && part !== '').join(' ') || String(error);
}
