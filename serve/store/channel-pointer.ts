/**
 * How the pointer of a channel is read and changed. The pointer is the truth and carries its last change; the record of a
 * change is written after it, and made up for before the next one. So a crash at any point loses nothing: before the
 * swap nothing happened, after it everything did.
 */
import { ProductError } from '../../shared/errors.ts';
import {
  channelPath,
  historyFolder,
  historyPath,
  parseChannel,
  parseChannelChange,
  type Channel,
  type ChannelChange,
} from '../../shared/store.ts';
import { parseJson, type AssetErrors } from '../asset-source.ts';
import type { FileVersion, ModelStore } from './model-store.ts';

const ERRORS: AssetErrors = {
  missing: { code: 'model/missing', advice: 'restore the file' },
  damaged: { code: 'model/damaged', advice: 'restore the file; history/ has the champion of every change' },
};

/** A store without a pointer means the shipped model. */
const UNTOUCHED: Channel = { champion: null, seq: 0, previous: [] };

export interface ReadChannel {
  channel: Channel;
  /** Undefined when there is no pointer yet. */
  version: FileVersion | undefined;
}

/** Errors: 'model/damaged'. */
export async function readChannel(store: ModelStore, name: string): Promise<ReadChannel> {
  const path = channelPath(name);
  const file = await store.readVersioned(path);
  if (file === undefined) return { channel: UNTOUCHED, version: undefined };
  return { channel: parseChannel(parseJson(file.bytes, path, ERRORS), path), version: file.version };
}

/** What is to become of a pointer. `champion` and `previous` are those after the change. */
export type ChannelPlan = Pick<Channel, 'champion' | 'previous'> & Pick<ChannelChange, 'action'>;

export interface ChangeOptions {
  store: ModelStore;
  name: string;
  /** The pointer that the plan was made from. */
  from: ReadChannel;
  plan: ChannelPlan;
  now: Date;
}

export interface MadeChange {
  change: ChannelChange;
  /** Why the change, which is made, has no record yet; the next one makes up for it. */
  recordProblem?: string;
}

/**
 * Change the pointer, if nobody did since it was read.
 *
 * Errors   'store/changed' when somebody did; 'store/occupied' when the history knows of later changes than the pointer,
 *          or has another record of its last one. The pointer is as it was then
 */
export async function changeChannel({ store, name, from, plan, now }: ChangeOptions): Promise<MadeChange> {
  const { channel, version } = from;
  if (channel.change !== undefined) await writeRecord(store, name, channel.change);
  const change: ChannelChange = {
    seq: channel.seq + 1,
    action: plan.action,
    champion: plan.champion,
    replaced: channel.champion,
    at: now.toISOString(),
  };
  await assertNewest(store, name, from);
  const next: Channel = { champion: plan.champion, seq: change.seq, previous: plan.previous, change };
  if (!(await store.swap(channelPath(name), toBytes(next), version))) throw await changedError(store, name);
  try {
    await writeRecord(store, name, change);
    return { change };
  } catch (error) {
    return { change, recordProblem: error instanceof Error ? error.message : String(error) };
  }
}

/** A pointer that was put back from an older copy would give a number of the history to a second change. */
async function assertNewest(store: ModelStore, name: string, { channel, version }: ReadChannel): Promise<void> {
  const path = historyPath(name, channel.seq + 1);
  if ((await store.measure(path)) === undefined) return;
  if ((await readChannel(store, name)).version !== version) throw await changedError(store, name);
  throw new ProductError(
    'store/occupied',
    `${path} is in ${store.name}, while ${channelPath(name)} is at change ${channel.seq}: the pointer is older than the history; restore the newest pointer, or move the later records away`,
    { details: { path } },
  );
}

async function changedError(store: ModelStore, name: string): Promise<ProductError> {
  const { champion, seq } = (await readChannel(store, name)).channel;
  return new ProductError(
    'store/changed',
    `somebody else changed channel ${name} meanwhile: it is at change ${seq} with ${describeChampion(champion)}; nothing was changed here: look at "npm run release -- history", then give the command again if it is still wanted`,
    { details: { champion, seq } },
  );
}

async function writeRecord(store: ModelStore, name: string, change: ChannelChange): Promise<void> {
  await store.create(historyPath(name, change.seq), toBytes(change));
}

function toBytes(value: Channel | ChannelChange): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new TextEncoder().encode(`${JSON.stringify(value, undefined, 2)}\n`));
}

export function describeChampion(champion: string | null): string {
  return champion === null ? 'the shipped model' : `model ${champion.slice(0, 8)}`;
}

/** All changes, oldest first; also the last one when it has no record yet. Other files are not looked at. */
export async function readHistory(store: ModelStore, name: string): Promise<ChannelChange[]> {
  const { change: last } = (await readChannel(store, name)).channel;
  const names = await store.list(historyFolder(name));
  const numbers = names.map((each) => Number(/^([1-9]\d*)\.json$/.exec(each)?.[1])).filter((seq) => !Number.isNaN(seq));
  const changes = await Promise.all(numbers.toSorted((a, b) => a - b).map((seq) => readRecord(store, name, seq)));
  const isRecorded = last === undefined || changes.some(({ seq }) => seq === last.seq);
  return isRecorded ? changes : [...changes, last];
}

async function readRecord(store: ModelStore, name: string, seq: number): Promise<ChannelChange> {
  const path = historyPath(name, seq);
  const bytes = await store.read(path);
  if (bytes === undefined) throw new ProductError('model/damaged', `${path} went away while it was read; try again`);
  const change = parseChannelChange(parseJson(bytes, path, ERRORS), path);
  if (change.seq === seq) return change;
  throw new ProductError('model/damaged', `${path} is the record of change ${change.seq}; restore the file`);
}
