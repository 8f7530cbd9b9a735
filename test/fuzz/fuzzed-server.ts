/**
 * What is fuzzed: the real Node server over real models that are small, two of them, measured, so that every route has a
 * right answer. Errors that it would log are counted: a caller can cause none.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startServer, type RunningServer } from '../../serve/node/server.ts';
import { channelPath, DEFAULT_CHANNEL, type Channel } from '../../shared/store.ts';
import { measureTinyModel } from '../support/tiny-evaluation.ts';
import { tinyArchitecture, writeTinyStore } from '../support/tiny-model.ts';

/** Four stages, as the layer names of the examples need, and as many classes as the samples have. */
const FUZZED_ARCHITECTURE = tinyArchitecture({ blocks: [1, 1, 1, 1], widths: [4, 6, 6, 8], classes: 10 });

export interface FuzzedServer extends Pick<RunningServer, 'url' | 'answer'> {
  /** What the server found worth telling its operator. */
  reported: unknown[];
  end(): Promise<void>;
}

export async function startFuzzedServer(): Promise<FuzzedServer> {
  const store = await mkdtemp(join(tmpdir(), 'resnet18-edge-fuzz-'));
  await writeFuzzedStore(store);
  const reported: unknown[] = [];
  const server = await startServer({
    host: '127.0.0.1',
    port: 0,
    store,
    page: 'web/dist',
    reportError: (error) => reported.push(error),
  });
  await server.ready;
  return {
    url: server.url,
    answer: (request) => server.answer(request),
    reported,
    async end() {
      await server.close();
      await rm(store, { recursive: true });
    },
  };
}

/** Two measured models; the second is the champion. */
async function writeFuzzedStore(store: string): Promise<void> {
  const architecture = FUZZED_ARCHITECTURE;
  const first = await writeTinyStore(store, { architecture, seed: 1, name: 'tiny.first' });
  const second = await writeTinyStore(store, { architecture, seed: 2, name: 'tiny.second' });
  for (const { modelId } of [first, second]) await measureTinyModel(join(store, modelId), { robustnessImages: 5 });
  const pointer: Channel = { champion: second.modelId, seq: 1, previous: [first.modelId] };
  await writeFile(join(store, channelPath(DEFAULT_CHANNEL)), JSON.stringify(pointer));
}
