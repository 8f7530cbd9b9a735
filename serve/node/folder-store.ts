/**
 * A model store in a folder, for any number of processes of one machine that may be killed at any moment. A file is
 * written beside its place, synced and renamed to it, so a reader sees a complete one or none; comparing and renaming
 * happen under one lock. Readers need no lock.
 */
import { createHash, randomUUID } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { mkdir, open, rm, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { ProductError } from '../../shared/errors.ts';
import { compareExisting } from '../store/create-file.ts';
import type { ModelStore } from '../store/model-store.ts';
import { readFolder } from './asset-folder.ts';
import { holdLock } from './folder-lock.ts';

/** In the store, on its file system. Names with a dot are none of the store's own. */
const LOCK_FILE = '.lock';
const INCOMING_FOLDER = '.incoming';
/** Nobody writes one file for so long: what is older was left by a process that was killed. */
const LEFTOVER_AGE_MS = 3_600_000;

const NOTHING_THERE = ['ENOENT', 'ENOTDIR'];

export function openFolderStore(folder: string): ModelStore {
  const files = readFolder(folder);

  async function call<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      if (cause instanceof ProductError) throw cause;
      throw new ProductError(
        'store/unavailable',
        `the store in ${folder} cannot be used: ${cause instanceof Error ? cause.message : String(cause)}; a folder that this user may write is expected (if ${LOCK_FILE} in it is damaged, remove it)`,
        { cause },
      );
    }
  }

  /** True when `isAllowed`, asked under the lock, and the file is there, also after a power cut. */
  async function write(path: string, bytes: Uint8Array, isAllowed: (target: string) => boolean): Promise<boolean> {
    const target = join(folder, path);
    const incoming = join(folder, INCOMING_FOLDER);
    await mkdir(incoming, { recursive: true });
    await mkdir(dirname(target), { recursive: true });
    const staged = join(incoming, randomUUID());
    try {
      await writeSynced(staged, bytes);
      return holdLock(join(folder, LOCK_FILE), () => {
        removeLeftovers(incoming);
        if (!isAllowed(target)) return false;
        renameSync(staged, target);
        syncFolders(dirname(target));
        return true;
      });
    } finally {
      await rm(staged, { force: true });
    }
  }

  /** From the folder up to the store's: each may be new. */
  function syncFolders(start: string): void {
    for (let each = start; !relative(folder, each).startsWith('..'); each = dirname(each)) {
      syncFolder(each);
      if (each === dirname(each)) break;
    }
  }

  const store: ModelStore = {
    name: `the store ${folder}`,
    read: (path) => call(() => files.read(path)),
    readVersioned: (path) =>
      call(async () => {
        const bytes = await files.read(path);
        return bytes === undefined ? undefined : { bytes, version: versionOf(bytes) };
      }),
    measure: (path) =>
      call(async () => {
        const status = await stat(join(folder, path)).catch(ignoreMissing);
        return status?.isFile() === true ? status.size : undefined;
      }),
    list: (path) =>
      call(async () => {
        const names = await files.list(path);
        return names.filter((name) => !name.startsWith('.'));
      }),
    create: (path, bytes) =>
      call(async () => {
        const isWritten = await write(path, bytes, (target) => !existsSync(target));
        return isWritten || compareExisting(store, path, bytes);
      }),
    swap: (path, bytes, expected) => call(() => write(path, bytes, (target) => readVersion(target) === expected)),
    close: async () => undefined,
  };
  return store;
}

function versionOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function readVersion(file: string): string | undefined {
  return existsSync(file) ? versionOf(readFileSync(file)) : undefined;
}

async function writeSynced(file: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(file, 'wx');
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Under the lock, so that two do not remove the same. */
function removeLeftovers(incoming: string): void {
  for (const name of readdirSync(incoming)) {
    const file = join(incoming, name);
    const status = statSync(file, { throwIfNoEntry: false });
    if (status !== undefined && Date.now() - status.mtimeMs > LEFTOVER_AGE_MS) rmSync(file, { force: true });
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (!NOTHING_THERE.includes(error.code ?? '')) throw error;
}
