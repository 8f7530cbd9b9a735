/**
 * Where the server's files come from: a folder on Node, static assets or a bucket on Workers. Everything that reads a
 * model or a sample reads it through this, so it neither knows nor cares which.
 */
import { ProductError, type ErrorCode } from '../shared/errors.ts';

export interface AssetSource {
  /** The bytes of a file, in a buffer of their own, or undefined when there is none. `path` is relative, with `/`. */
  read(path: string): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /**
   * The same in a buffer that is used again, where the platform can: `buffer` is taken over and detached, the bytes lie at
   * the front of its memory. Of a longer file only as much as fits is read.
   */
  readInto?(path: string, buffer: ArrayBuffer): Promise<Uint8Array<ArrayBuffer> | undefined>;
  /** Names of the files and folders directly in a folder (`''`: at the top); absent where the platform cannot list. */
  list?(folder: string): Promise<string[]>;
}

/** How errors about one file are to be called. */
export interface AssetErrors {
  missing: { code: ErrorCode; advice: string };
  damaged: { code: ErrorCode; advice: string };
}

export async function readRequired(
  source: AssetSource,
  path: string,
  errors: AssetErrors,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await source.read(path);
  if (bytes !== undefined) return bytes;
  throw new ProductError(errors.missing.code, `the file ${path} is missing; ${errors.missing.advice}`);
}

export async function readJson(source: AssetSource, path: string, errors: AssetErrors): Promise<unknown> {
  const bytes = await readRequired(source, path, errors);
  return parseJson(bytes, path, errors);
}

export function parseJson(bytes: Uint8Array, path: string, { damaged }: AssetErrors): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes)) as unknown;
  } catch (cause) {
    throw new ProductError(damaged.code, `the file ${path} is not JSON; ${damaged.advice}`, { cause });
  }
}
