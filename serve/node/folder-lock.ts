/**
 * A lock that several processes of this machine share: SQLite's on an empty database file. The operating system holds
 * it and gives it up when its process ends, however it ends, so it is never stale. Nothing is written to the file.
 */
import { DatabaseSync } from 'node:sqlite';

const WAIT_MS = 30_000;

/** Run `work` alone. It is synchronous: another holder in this process would wait for itself. */
export function holdLock<T>(file: string, work: () => T): T {
  const database = new DatabaseSync(file, { timeout: WAIT_MS });
  try {
    database.exec('BEGIN EXCLUSIVE');
    return work();
  } finally {
    // Also ends the transaction.
    database.close();
  }
}
