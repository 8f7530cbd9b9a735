/** The contract of model stores on R2 as workerd has it on this machine, from two processes of workerd at once. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import { openLocalR2 } from '../../serve/release/local-r2.ts';
import type { ModelStore } from '../../serve/store/model-store.ts';
import { makeSharedFolder } from '../support/temporary-folder.ts';
import { testModelStore } from './model-store.ts';

describe('a model store in a bucket of R2', () => {
  const views: ModelStore[] = [];
  let tests = 0;

  beforeAll(async () => {
    const folder = await makeSharedFolder();
    const config = join(folder, 'wrangler.toml');
    await writeFile(
      config,
      'name = "models"\ncompatibility_date = "2026-10-01"\n[[r2_buckets]]\nbinding = "MODELS"\nbucket_name = "models"\n',
    );
    const address = `r2-local:MODELS?config=${config}&state=${join(folder, 'state')}`;
    views.push(await openLocalR2(address), await openLocalR2(address));
  });
  afterAll(async () => {
    for (const view of views) await view.close();
  });

  testModelStore(
    async () => inFolder(views[0], `test-${(tests += 1)}`),
    async () => inFolder(views[1], `test-${tests}`),
  );
});

/** Starting workerd takes seconds: each test gets a folder of one bucket instead of a bucket. */
function inFolder(store: ModelStore | undefined, folder: string): ModelStore {
  if (store === undefined) throw new Error('internal: beforeAll did not run');
  const at = (path: string): string => (path === '' ? folder : `${folder}/${path}`);
  return {
    name: store.name,
    read: (path) => store.read(at(path)),
    readVersioned: (path) => store.readVersioned(at(path)),
    measure: (path) => store.measure(at(path)),
    list: (path) => store.list(at(path)),
    create: (path, bytes) =>
      store.create(at(path), bytes).catch((error: Error & { details?: { path?: string } }) => {
        if (error.details?.path !== undefined) error.details.path = path;
        throw error;
      }),
    swap: (path, bytes, expected) => store.swap(at(path), bytes, expected),
    close: async () => undefined,
  };
}
