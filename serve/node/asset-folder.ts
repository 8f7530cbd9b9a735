/** Files from a folder of this machine. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AssetSource } from '../asset-source.ts';

/** Nothing there, a folder, a file where a folder should be, or a name that no file can have. */
const NO_FILE = ['ENOENT', 'EISDIR', 'ENOTDIR', 'ENAMETOOLONG'];

/** Whoever makes a path keeps it inside the folder: schemas those in the product's files, static-files.ts those of URLs. */
export function readFolder(folder: string): Required<Omit<AssetSource, 'readInto'>> {
  return {
    async read(path) {
      try {
        return new Uint8Array(await readFile(join(folder, path)));
      } catch (error) {
        if (NO_FILE.includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
        throw error;
      }
    },
    async list(path) {
      try {
        return await readdir(join(folder, path));
      } catch (error) {
        if (NO_FILE.includes((error as NodeJS.ErrnoException).code ?? '')) return [];
        throw error;
      }
    },
  };
}
