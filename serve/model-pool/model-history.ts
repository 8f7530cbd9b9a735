/** Which model answered when, in one channel, from the pointer and the records of its changes. */
import type { ChannelEvent } from '../../shared/api.ts';
import type { ModelCatalogue, Pointer } from './model-catalogue.ts';

/** Changes that are looked up: each is a file. */
export const LISTED_EVENTS = 50;

/**
 * The newest changes, newest first, then the start where they reach back so far. A record that is missing is left out;
 * the newest one is also in the pointer.
 */
export async function readHistory(catalogue: ModelCatalogue, pointer: Pointer): Promise<ChannelEvent[]> {
  const { channel, seq, change: newest } = pointer;
  const count = Math.min(seq, LISTED_EVENTS);
  const records = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const wanted = seq - index;
      return wanted === newest?.seq ? newest : catalogue.readChange(channel, wanted);
    }),
  );
  const shippedId = await catalogue.readShippedId();
  const changes = records.filter((record) => record !== undefined);
  const events: ChannelEvent[] = changes.map(({ seq: number, action, champion, at }) => ({
    seq: number,
    action,
    champion: champion ?? shippedId,
    at,
  }));
  if (count < seq) return events;
  const first = (await readChampion(catalogue, pointer, 0)) ?? shippedId;
  return [...events, { seq: 0, action: 'start', champion: first, at: null }];
}

/**
 * Id of the model that answered after change `seq`; 0: before the first. Also of a change that this pointer is too old to
 * know: another server may have named it. Undefined when there is no record of it.
 */
export async function readChampion(
  catalogue: ModelCatalogue,
  pointer: Pointer,
  seq: number,
): Promise<string | undefined> {
  if (seq === pointer.seq) return pointer.champion;
  const wanted = Math.max(seq, 1);
  const change = wanted === pointer.seq ? pointer.change : await catalogue.readChange(pointer.channel, wanted);
  if (seq === 0) return change?.replaced ?? catalogue.readShippedId();
  return change && (change.champion ?? catalogue.readShippedId());
}
