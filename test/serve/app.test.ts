import { describe, expect, test } from 'vitest';
import { createApp } from '../../serve/app.ts';
import type { ModelPool } from '../../serve/model-pool/model-pool.ts';
import { ProductError } from '../../shared/errors.ts';
import { readProblem } from '../contract/api-client.ts';
import { createBrokenModels } from '../support/broken-models.ts';

/** The app with parts that fail; what it does with sound ones is the contract's matter. */
function makeApp(models: ModelPool, listSamples: () => Promise<never> = unused) {
  const logged: unknown[] = [];
  const kept: Promise<unknown>[] = [];
  const app = createApp({
    models,
    evaluation: { images: 1, bytes: 1, running: 1 },
    samples: { list: listSamples, read: unused },
    keepAlive: (_context, work) => kept.push(work),
    reportError: (error) => logged.push(error),
    page: { answer: unused },
  });
  return { app, logged, kept };
}

function unused(): Promise<never> {
  return Promise.reject(new Error('not used here'));
}

describe('before the model is loaded', () => {
  test('the server lives and is not ready; asking begins one load and does not wait for it', async () => {
    let reads = 0;
    const endless = (): Promise<never> => {
      reads++;
      return new Promise(() => undefined);
    };
    const { app, kept, logged } = makeApp(createBrokenModels(endless));
    expect((await app.request('/healthz')).status).toBe(200);
    for (let round = 0; round < 2; round++) {
      const response = await app.request('/readyz');
      expect(await readProblem(response)).toMatchObject({ status: 503, code: 'server/not-ready' });
      expect(response.headers.get('retry-after')).toBe('1');
    }
    // The pointer of the store, and the shipped one at the same time.
    expect(reads).toBe(2);
    // Each request is kept alive: on Workers, what a request began ends with it.
    expect(kept.length).toBe(2);
    expect(logged).toEqual([]);
  });

  test('a load that fails is told as not ready, without the reason, which is logged', async () => {
    const cause = new ProductError('model/damaged', 'secret/path has 3 bytes');
    const { app, logged } = makeApp(createBrokenModels(() => Promise.reject(cause)));
    const problem = await readProblem(await app.request('/models'));
    expect(problem).toMatchObject({ status: 503, code: 'server/not-ready' });
    expect(JSON.stringify(problem)).not.toContain('secret');
    expect(logged).toMatchObject([{ code: 'server/not-ready', cause }]);
  });
});

describe('an error of the server itself', () => {
  test.each([
    ['a bug', new Error('internal: secret state')],
    ['a file that is missing', new ProductError('web/not-built', 'secret/path is missing')],
  ])('%s is answered as internal and logged in full', async (_name, error) => {
    const { app, logged } = makeApp(createBrokenModels(unused), () => Promise.reject(error));
    const response = await app.request('/samples');
    const problem = await readProblem(response);
    expect(problem).toMatchObject({ status: 500, code: 'internal', type: '/docs#internal' });
    expect(JSON.stringify(problem)).not.toContain('secret');
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(logged).toEqual([error]);
  });
});
