/** The guard contract against real Node servers with a tiny model. */
import { onTestFinished } from 'vitest';
import { parseApiKeys } from '../../serve/access/api-keys.ts';
import { parseOrigins } from '../../serve/access/cors.ts';
import { startServer } from '../../serve/node/server.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';
import { tinyArchitecture, writeTinyStore } from '../support/tiny-model.ts';
import { describeGuard } from './guard.ts';

describeGuard('Node', async ({ CORS_ORIGINS, API_KEYS }) => {
  const store = await makeTemporaryFolder();
  await writeTinyStore(store, { architecture: tinyArchitecture({ classes: 10 }) });
  const server = await startServer({
    host: '127.0.0.1',
    port: 0,
    store,
    page: 'web/dist',
    reportError: (error) => console.error(error),
    access: { origins: parseOrigins(CORS_ORIGINS), keys: parseApiKeys(API_KEYS) },
  });
  onTestFinished(() => server.close());
  await server.ready;
  return (path, init) => fetch(new URL(path, server.url), init);
});
