/**
 * Follows the pointer of one channel. Requests make it look, at most once in `ttlMs`, and none of them waits for that: a
 * new champion is loaded beside the old one, or in its place where memory is short (`model-shelf.ts`), then one reference
 * is changed. What cannot be read or loaded is refused and told once; the old champion goes on answering, and a server
 * that starts then takes the old one, too.
 */
import { ProductError } from '../../shared/errors.ts';
import type { Pointer } from './model-catalogue.ts';
import type { Lease, ModelShelf } from './model-shelf.ts';
import { createSharedTask, type KeepAlive } from './shared-task.ts';

export interface ChannelFollower {
  /** The pointer in force; undefined until the first champion is loaded. */
  readonly pointer: Pointer | undefined;
  /** Its champion that could not be loaded, and is tried again later; undefined: none. */
  readonly refused: RefusedChampion | undefined;
  /**
   * The pointer in force; the first one with its champion loaded, if need be.
   *
   * Errors   those of the first pointer and the first load
   */
  follow(keepAlive: KeepAlive): Promise<Pointer>;
  /** The champion, and the pointer that made it so. Errors: as of `follow`, and of a load. */
  take(keepAlive: KeepAlive): Promise<{ lease: Lease; pointer: Pointer }>;
}

export interface ChannelFollowerOptions {
  readPointer: () => Promise<Pointer>;
  shelf: ModelShelf;
  /** Whether its champion always stays loaded. */
  isKept: boolean;
  /** Time between two looks at the pointer. */
  ttlMs: number;
  reportError: (error: unknown) => void;
}

/** A champion that was refused is tried again later and later: a load costs much and seldom mends itself. */
const FIRST_RETRY_MS = 5000;
const LONGEST_RETRY_MS = 5 * 60_000;

/** What the store's pointer names, though another one answers. */
export type RefusedChampion = Pick<Pointer, 'champion' | 'seq'>;

interface Refusal extends RefusedChampion {
  waitMs: number;
  triedMs: number;
}

export function createChannelFollower(options: ChannelFollowerOptions): ChannelFollower {
  const { readPointer, shelf, isKept, ttlMs, reportError } = options;
  const starting = createSharedTask(start);
  const looking = createSharedTask(look);
  let current: Pointer | undefined;
  let lookedMs = 0;
  let refusal: Refusal | undefined;
  /** What was told and is still so. */
  let told: string | undefined;

  async function start(): Promise<void> {
    const pointer = await readPointer();
    try {
      await moveOrRefuse(pointer);
    } catch (error) {
      const isForNow = error instanceof ProductError && error.code === 'server/not-ready';
      if (pointer.before === undefined || isForNow) throw error;
      // Servers that ran before this one stayed with the old champion: so that all say the same, this one takes it too.
      await moveTo(pointer.before).catch(() => Promise.reject(error));
      report(error);
    }
    lookedMs = Date.now();
  }

  async function moveTo(pointer: Pointer): Promise<void> {
    const from = current;
    const replaced = from?.champion;
    if (pointer.champion === replaced) {
      current = pointer;
      return;
    }
    // A load that was given up as overdue comes too late: what it read is older than what is in force by now.
    const flip = (): void => {
      if (current !== from) return;
      current = pointer;
      if (isKept) shelf.keep(pointer.champion);
      if (replaced !== undefined) shelf.retire(replaced);
    };
    // The request that began this keeps itself alive for all of it.
    const keepAlive = (): void => undefined;
    const lease = await shelf.take(pointer.champion, { keepAlive, isUrgent: isKept, onLoaded: flip });
    lease.release();
  }

  async function look(): Promise<void> {
    lookedMs = Date.now();
    try {
      const pointer = await readPointer();
      checkStillThere(pointer);
      if (isRefused(pointer)) return;
      await moveOrRefuse(pointer);
      told = undefined;
    } catch (error) {
      report(error);
    }
  }

  function report(error: unknown): void {
    const text = String(error);
    if (text !== told) reportError(error);
    told = text;
  }

  async function moveOrRefuse(pointer: Pointer): Promise<void> {
    const { champion, seq } = pointer;
    try {
      await moveTo(pointer);
      refusal = undefined;
    } catch (error) {
      const isSame = refusal?.champion === champion && refusal.seq === seq;
      const waitMs = isSame ? Math.min((refusal?.waitMs ?? 0) * 2, LONGEST_RETRY_MS) : FIRST_RETRY_MS;
      refusal = { champion, seq, waitMs, triedMs: Date.now() };
      throw error;
    }
  }

  function isRefused({ champion, seq }: Pointer): boolean {
    if (refusal?.champion !== champion || refusal.seq !== seq) return false;
    return Date.now() - refusal.triedMs < refusal.waitMs;
  }

  /** A store that is gone for a moment must not change the model; going back to the shipped one has a pointer. */
  function checkStillThere(pointer: Pointer): void {
    if (pointer.isStored || current?.isStored !== true) return;
    throw new ProductError(
      'model/missing',
      `the pointer of channel "${pointer.channel}" is gone from the store, so ${current.champion} goes on answering; restore it, or roll back to the shipped model`,
    );
  }

  async function follow(keepAlive: KeepAlive): Promise<Pointer> {
    if (current === undefined) await starting.join(keepAlive);
    else if (Date.now() - lookedMs >= ttlMs) void looking.join(keepAlive);
    if (current === undefined) throw new Error('internal: a channel has no pointer after its start');
    return current;
  }

  return {
    get pointer() {
      return current;
    },
    get refused() {
      return refusal;
    },
    follow,
    async take(keepAlive) {
      const followed = await follow(keepAlive);
      // While champions are exchanged the old one is not to be asked for: it would be loaded again.
      while (shelf.isExchanging) await shelf.settle();
      // The newest one: its champion is loaded, and nothing can come between this line and the next.
      const pointer = current ?? followed;
      const lease = await shelf.take(pointer.champion, { keepAlive, isUrgent: isKept });
      return { lease, pointer };
    },
  };
}
