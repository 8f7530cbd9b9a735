/** All models and versions with their state, as Triton's model repository extension lists them. */
import { DEFAULT_CHANNEL } from '../../shared/store.ts';
import { readHistory } from '../model-pool/model-history.ts';
import type { ModelPool } from '../model-pool/model-pool.ts';
import type { OipIndex } from '../../shared/oip-api.ts';

type IndexEntry = OipIndex[number];

/**
 * READY is what answers, though an older version is loaded by the first request for it. Nothing is loaded here.
 *
 * Errors   those of the store
 */
export async function listIndex(models: ModelPool, { isReadyOnly }: { isReadyOnly: boolean }): Promise<OipIndex> {
  const channels = await models.catalogue.listChannels();
  const entries = (await Promise.all(channels.map((channel) => listChannel(models, channel)))).flat();
  return isReadyOnly ? entries.filter(({ state }) => state === 'READY') : entries;
}

async function listChannel({ catalogue, isReady }: ModelPool, channel: string): Promise<IndexEntry[]> {
  const pointer = await catalogue.readPointer(channel);
  if (pointer === undefined) return [{ name: channel, state: 'UNAVAILABLE', reason: 'it has no pointer' }];
  const events = await readHistory(catalogue, pointer);
  return Promise.all(
    events.map(async ({ seq, champion }): Promise<IndexEntry> => {
      const version = { name: channel, version: String(seq) };
      if (!(await catalogue.hasModel(champion))) {
        return { ...version, state: 'UNAVAILABLE', reason: 'its model is no longer in the store' };
      }
      if (channel === DEFAULT_CHANNEL && seq === pointer.seq && !isReady) {
        return { ...version, state: 'LOADING', reason: '' };
      }
      return { ...version, state: 'READY', reason: '' };
    }),
  );
}
