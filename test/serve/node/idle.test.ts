/** A server that nobody asks, over a store that changes. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { startServer } from '../../../serve/node/server.ts';

import { release } from '../../support/release-command.ts';
import { makeTemporaryFolder } from '../../support/temporary-folder.ts';
import { writeTinyModel } from '../../support/tiny-model.ts';

/** Many looks at the pointer, and the load of a small model on a busy machine. */
const IDLE_MS = 4000;

test('a server that was idle answers its first request with the champion of now', async () => {
  const root = await makeTemporaryFolder();
  const [store, folder] = [join(root, 'store'), join(root, 'model')];
  await mkdir(store);
  const { modelId } = await writeTinyModel(folder);
  const failed = (error: unknown): never => expect.fail(String(error));
  const server = await startServer({
    host: '127.0.0.1',
    port: 0,
    store,
    page: 'web/dist',
    pointerTtlMs: 100,
    reportError: failed,
  });
  onTestFinished(() => server.close());
  await server.ready;
  expect((await release(['publish', folder, '--store', store])).status).toBe(0);
  expect((await release(['promote', modelId, '--store', store])).status).toBe(0);
  await wait(IDLE_MS);
  const response = await fetch(new URL('/activations/linear?sample=cat-ginger', server.url));
  expect(response.headers.get('x-model-id')).toBe(modelId);
});
