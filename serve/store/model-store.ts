/**
 * What a model store can do, whatever it lies in: a folder, a bucket of R2, a bucket behind S3. The layout is
 * shared/store.ts; what the pointer's changes mean is channel-pointer.ts.
 *
 * Two kinds of files, two ways to write, and no other: what is immutable is created once, what changes is compared and
 * swapped. A write is complete or not there, for every reader and after a crash.
 */
import type { AssetSource } from '../asset-source.ts';

/** Names one content of one file: a new content has another version. */
export type FileVersion = string;

export interface VersionedFile {
  bytes: Uint8Array<ArrayBuffer>;
  version: FileVersion;
}

/**
 * Paths are relative, with `/`. Buffers that come out belong to the caller; those that go in are not kept.
 *
 * Errors of every method   'store/unavailable', 'store/credentials'
 */
export interface ModelStore extends AssetSource {
  /** For messages: what the user gave, without secrets. */
  readonly name: string;
  readVersioned(path: string): Promise<VersionedFile | undefined>;
  /** Size in bytes, or undefined where there is no such file. */
  measure(path: string): Promise<number | undefined>;
  /** Names of the files and folders directly in a folder (`''`: at the top). */
  list(folder: string): Promise<string[]>;
  /**
   * Write a file that never changes. True when it was written, false when it was there with this very content.
   *
   * Errors   'store/occupied' when it is there with another content
   */
  create(path: string, bytes: Uint8Array<ArrayBuffer>): Promise<boolean>;
  /**
   * Write a file if it still has the version, undefined for: if there is still none. Of several at once, one is told
   * true; all others false, and they changed nothing.
   */
  swap(path: string, bytes: Uint8Array<ArrayBuffer>, expected: FileVersion | undefined): Promise<boolean>;
  close(): Promise<void>;
}
