/** From what `--store` says to a store. */
import { stat } from 'node:fs/promises';
import { ProductError } from '../../shared/errors.ts';
import { openFolderStore } from '../node/folder-store.ts';
import type { ModelStore } from '../store/model-store.ts';
import { openS3Store } from '../store/s3-store.ts';
import type { S3Credentials } from '../store/s3-client.ts';
import { usageError, type ReleaseContext } from './command.ts';
import { openLocalR2 } from './local-r2.ts';

type Environment = ReleaseContext['environment'];

export interface OpenStoreOptions {
  environment: Environment;
  /** Whether a folder that is not there is a new store; otherwise it is an error. */
  mayBeNew?: boolean;
}

/** Use a store, and close it whatever happens. Errors: 'cli/usage', 'store/missing', 'store/credentials'. */
export async function useStore<T>(
  address: string,
  options: OpenStoreOptions,
  work: (store: ModelStore) => Promise<T>,
): Promise<T> {
  const store = await openStore(address, options);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

/** Whether it names a bucket, not a folder. */
export function isBucket(address: string): boolean {
  return schemeOf(address) !== undefined;
}

function schemeOf(address: string): string | undefined {
  return /^([a-z][a-z0-9-]+):/.exec(address)?.[1];
}

async function openStore(address: string, { environment, mayBeNew = false }: OpenStoreOptions): Promise<ModelStore> {
  const scheme = schemeOf(address);
  if (scheme === 's3') return openS3(address, environment);
  if (scheme === 'r2-local') return openLocalR2(address);
  if (scheme !== undefined) {
    throw usageError(`--store ${address} is no store; a folder, r2-local:BINDING or s3://BUCKET is expected`);
  }
  const status = await stat(address).catch(() => undefined);
  if (status === undefined && !mayBeNew) {
    throw new ProductError(
      'store/missing',
      `there is no store in ${address}; correct --store, or publish a model, which makes the folder`,
    );
  }
  if (status !== undefined && !status.isDirectory()) {
    throw new ProductError('store/missing', `${address} is a file, and a store is a folder; correct --store`);
  }
  return openFolderStore(address);
}

const S3_PARAMETERS = ['endpoint', 'region'];

function openS3(address: string, environment: Environment): ModelStore {
  const url = parseUrl(address);
  const unknown = [...url.searchParams.keys()].find((name) => !S3_PARAMETERS.includes(name));
  if (unknown !== undefined) {
    throw usageError(`--store has a parameter "${unknown}"; possible: ${S3_PARAMETERS.join(', ')}`);
  }
  const prefix = decodeURIComponent(url.pathname).replaceAll(/^\/+|\/+$/g, '');
  if (url.host === '' || url.username !== '')
    throw usageError(`--store ${address} names no bucket: s3://BUCKET[/FOLDER]`);
  const endpoint = url.searchParams.get('endpoint') ?? endpointOf(environment);
  if (parseUrl(endpoint).protocol !== 'https:' && parseUrl(endpoint).protocol !== 'http:') {
    throw usageError(`endpoint ${endpoint} is not an address; https://HOST is expected`);
  }
  return openS3Store({
    name: `s3://${url.host}${prefix === '' ? '' : `/${prefix}`}`,
    location: {
      endpoint,
      bucket: url.host,
      region: url.searchParams.get('region') ?? environment['AWS_REGION'] ?? 'auto',
    },
    prefix,
    credentials: credentialsOf(environment),
  });
}

function parseUrl(text: string): URL {
  try {
    return new URL(text);
  } catch (cause) {
    throw new ProductError(
      'cli/usage',
      `"${text}" in --store is not an address; s3://BUCKET[/FOLDER]?endpoint=https://HOST is expected`,
      { cause },
    );
  }
}

function endpointOf(environment: Environment): string {
  const account = environment['R2_ACCOUNT_ID'];
  if (account) return `https://${account}.r2.cloudflarestorage.com`;
  const endpoint = environment['AWS_ENDPOINT_URL_S3'] || environment['AWS_ENDPOINT_URL'];
  if (endpoint) return endpoint;
  throw usageError('nothing says where the bucket is; set R2_ACCOUNT_ID, or add ?endpoint=https://HOST to --store');
}

/** A pair of one kind: half of each would be a puzzle. */
function credentialsOf(environment: Environment): S3Credentials {
  for (const kind of ['R2', 'AWS']) {
    const [accessKeyId, secretAccessKey] = [
      environment[`${kind}_ACCESS_KEY_ID`],
      environment[`${kind}_SECRET_ACCESS_KEY`],
    ];
    if (!accessKeyId && !secretAccessKey) continue;
    if (!accessKeyId || !secretAccessKey) {
      const missing = accessKeyId ? 'SECRET_ACCESS_KEY' : 'ACCESS_KEY_ID';
      throw new ProductError(
        'store/credentials',
        `${kind}_${missing} is not set, the other half of the key is; set both`,
      );
    }
    const sessionToken = environment[`${kind}_SESSION_TOKEN`];
    return { accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) };
  }
  throw new ProductError(
    'store/credentials',
    'an s3:// store needs an access key; set R2_ACCESS_KEY_ID and R2_SECRET_ACCESS_KEY (or the AWS_ ones)',
  );
}
