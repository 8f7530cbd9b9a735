/**
 * A model store in a bucket of Cloudflare R2, through its binding. R2 is strongly consistent and compares and swaps
 * itself; it also refuses bytes whose sha256 differs from what was announced.
 */
import { ProductError } from '../../shared/errors.ts';
import { sha256Hex } from '../sha256.ts';
import { compareExisting, haveSameBytes } from './create-file.ts';
import type { ModelStore } from './model-store.ts';
import { readBucket, type ReadableBucket, type StoredObject } from './r2-source.ts';
import { repeat, TRIES } from './repeat.ts';

/** What is used of a bucket binding (`R2Bucket`). */
export interface Bucket extends ReadableBucket {
  head(key: string): Promise<StoredObject | null>;
  /** Null when the condition does not hold. */
  put(
    key: string,
    value: Uint8Array,
    options: { onlyIf: { etagMatches?: string; etagDoesNotMatch?: string }; sha256: string },
  ): Promise<StoredObject | null>;
}

const ANY_ETAG = '*';

export interface R2StoreOptions {
  name: string;
  bucket: Bucket;
  /** Ends what the binding needs. */
  close?: () => Promise<void>;
}

export function openR2Store({ name, bucket, close }: R2StoreOptions): ModelStore {
  const files = readBucket(bucket);

  async function call<T>(work: (isRepeated: boolean) => Promise<T>): Promise<T> {
    try {
      return await repeat(work);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ProductError(
        'store/unavailable',
        `${name} did not do what it was asked (${reason}, ${TRIES} tries); try again`,
        { cause },
      );
    }
  }

  async function readVersioned(path: string) {
    return call(async () => {
      const object = await bucket.get(path);
      return object === null ? undefined : { bytes: new Uint8Array(await object.arrayBuffer()), version: object.etag };
    });
  }

  async function put(path: string, bytes: Uint8Array<ArrayBuffer>, expected: string | undefined): Promise<boolean> {
    const sha256 = await sha256Hex(bytes);
    const onlyIf = expected === undefined ? { etagDoesNotMatch: ANY_ETAG } : { etagMatches: expected };
    const outcome = await call(async (isRepeated) => {
      const isDone = (await bucket.put(path, bytes, { onlyIf, sha256 })) !== null;
      return { isDone, isRepeated };
    });
    if (outcome.isDone || !outcome.isRepeated) return outcome.isDone;
    // The first try may have done it, and made the condition of the second one false.
    const present = await readVersioned(path);
    return present !== undefined && haveSameBytes(present.bytes, bytes);
  }

  const store: ModelStore = {
    name,
    readVersioned,
    read: (path) => call(() => files.read(path)),
    measure: (path) => call(async () => (await bucket.head(path))?.size),
    list: (folder) => call(() => files.list(folder)),
    create: async (path, bytes) => (await put(path, bytes, undefined)) || compareExisting(store, path, bytes),
    swap: put,
    close: async () => close?.(),
  };
  return store;
}
