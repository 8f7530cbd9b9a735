/**
 * The models in memory, each loaded once however many ask for it, together never more than the budget. A model is freed
 * when nobody uses it any more and its memory is needed, or at once when it was replaced. One model is kept: the champion
 * of the default channel.
 *
 * Where two models fit, a new champion is loaded beside the old one and nobody waits. Where they do not (a Worker), they
 * are exchanged: the files of the new one are checked, then no model is given out until all are back (`gate.ts`), the
 * old one is freed, and the new one is loaded into its memory, which WebAssembly could not give back anyway. If that
 * fails, the old one is loaded again.
 */
import { assertModelFits, formatMegabytes } from '../../shared/engine/memory-budget.ts';
import { sumMemory, type MemoryPlan } from '../../shared/engine/memory-plan.ts';
import { ProductError } from '../../shared/errors.ts';
import type { Classifier } from '../inference/classifier.ts';
import { createGate, PASS_LIMIT_MS } from './gate.ts';
import { createSharedTask, type KeepAlive, type SharedTask } from './shared-task.ts';

/** The right to use a model: it is not freed before `release()`, which may be called more than once. */
export interface Lease {
  readonly classifier: Classifier;
  release(): void;
}

export interface TakeOptions {
  keepAlive: KeepAlive;
  /** It is the champion of the default channel, or to become it: others give way to it. */
  isUrgent?: boolean;
  /** Called once when the model is loaded, before anybody who waits for an exchange goes on. */
  onLoaded?: () => void;
}

/** What a model takes of the engine. */
type ModelMemory = Pick<MemoryPlan, 'ownBytes' | 'sharedBytes'>;

/** A model whose files are there and fit together. */
export interface OpenedModel {
  memory: ModelMemory;
  /** Reads all its files and keeps nothing. Errors: those of reading. */
  verify(): Promise<void>;
  load(): Promise<Classifier>;
}

export interface ModelShelf {
  /**
   * The model, loaded if need be.
   *
   * Errors   those of opening and loading; 'model/too-large' for one that never fits; 'server/not-ready' when those in
   *          use leave no room, or an exchange takes too long
   */
  take(modelId: string, options: TakeOptions): Promise<Lease>;
  /** Whether models are being exchanged: none is given out meanwhile. */
  readonly isExchanging: boolean;
  /** Settles when they are not. Errors: 'server/not-ready' when that takes too long. */
  settle(): Promise<void>;
  /** Keep this model, and no longer the one that was kept before. */
  keep(modelId: string): void;
  /** Free the model as soon as nobody uses it; not the kept one. */
  retire(modelId: string): void;
}

interface Place {
  task: SharedTask<Classifier>;
  /** Absent while it is being loaded. */
  classifier: Classifier | undefined;
  /** Absent until there is room for it. */
  memory: ModelMemory | undefined;
  users: number;
  isRetired: boolean;
  isUrgent: boolean;
  onLoaded: Set<() => void>;
}

export interface ModelShelfOptions {
  open: (modelId: string) => Promise<OpenedModel>;
  /** Of all models together. */
  budgetBytes: number;
  /** The same where more than two are to be loaded side by side and none is a new champion. Default: `budgetBytes`. */
  guestBudgetBytes?: number | undefined;
  /** For a champion that could not be loaded again after an exchange that failed. */
  reportError: (error: unknown) => void;
}

/** A model that was asked for by name pushes the champion out at most so often: both ways cost a load. */
const GUEST_INTERVAL_MS = 10_000;

function isLoading({ memory, classifier }: Place): boolean {
  return memory !== undefined && classifier === undefined;
}

function isIdle({ classifier, users }: Place): boolean {
  return classifier !== undefined && users === 0;
}

export function createModelShelf(options: ModelShelfOptions): ModelShelf {
  const { open, budgetBytes, guestBudgetBytes = budgetBytes, reportError } = options;
  /** By model id, least recently used first. */
  const places = new Map<string, Place>();
  const gate = createGate();
  let keptId: string | undefined;
  let guestExchangedMs = -Infinity;

  function addPlace(modelId: string): Place {
    const place: Place = {
      task: createSharedTask(() => fill(modelId, place)),
      classifier: undefined,
      memory: undefined,
      users: 0,
      isRetired: false,
      isUrgent: false,
      onLoaded: new Set(),
    };
    places.set(modelId, place);
    return place;
  }

  async function fill(modelId: string, place: Place): Promise<Classifier> {
    try {
      const model = await open(modelId);
      assertModelFits(`model ${modelId}`, sumMemory([model.memory]), budgetBytes);
      const classifier = await bring(modelId, place, model);
      if (places.get(modelId) === place && place.classifier === undefined) place.classifier = classifier;
      // It was given up as overdue, and another load was faster.
      else if (place.classifier !== classifier) classifier.dispose();
      announce(place);
      return place.classifier ?? classifier;
    } catch (error) {
      if (place.classifier === undefined && places.get(modelId) === place) places.delete(modelId);
      throw error;
    } finally {
      gate.recheck();
    }
  }

  function announce({ onLoaded }: Place): void {
    for (const tell of onLoaded) tell();
    onLoaded.clear();
  }

  /** Loads beside the others where there is room, else in place of them. */
  async function bring(modelId: string, place: Place, model: OpenedModel): Promise<Classifier> {
    for (;;) {
      while (gate.isClosed) await gate.pass();
      if (reserve(place, model.memory)) return model.load();
      if (!isOtherLoading(place)) break;
      // Its load may take longer than those who use a model are waited for; and until then no champion is known.
      await gate.until(() => !isOtherLoading(place), {
        limitMs: PASS_LIMIT_MS,
        message: 'another model is being loaded, and there is no room for two; try again in a moment',
      });
    }
    assertMayExchange(modelId, place, model.memory);
    // Before anybody waits.
    await model.verify();
    return gate.close(async (drain) => {
      if (!place.isUrgent) guestExchangedMs = Date.now();
      while (countBusy(place) > 0) await drain(() => countBusy(place) === 0);
      // It was given up as overdue, and another load was faster.
      if (place.classifier !== undefined) return place.classifier;
      const freed = freeIdle(() => false);
      try {
        reserve(place, model.memory);
        place.classifier = await model.load();
        announce(place);
        return place.classifier;
      } catch (error) {
        place.memory = undefined;
        if (keptId !== undefined && freed.includes(keptId)) await restore(keptId);
        throw error;
      }
    });
  }

  /** Takes room for a model if what is idle can be freed for it; the kept one is not. Nothing is freed in vain. */
  function reserve(place: Place, memory: ModelMemory): boolean {
    const others = [...places].filter(([, other]) => other !== place && other.memory !== undefined);
    const freed = new Set<string>();
    const fits = (): boolean => {
      const left = others.flatMap(([modelId, other]) => (freed.has(modelId) ? [] : (other.memory ?? [])));
      // A swap needs two models at once, whatever guests there are.
      const limitBytes = left.length < 2 || place.isUrgent ? budgetBytes : guestBudgetBytes;
      return sumMemory([...left, memory]) <= limitBytes;
    };
    // Least recently used first.
    for (const [modelId, other] of others) if (!fits() && isIdle(other) && modelId !== keptId) freed.add(modelId);
    if (!fits()) return place.memory !== undefined;
    freeIdle((modelId) => !freed.has(modelId));
    place.memory = memory;
    return true;
  }

  /** Places other than this one that are in use or being loaded. */
  function countBusy(except: Place): number {
    return [...places.values()].filter((place) => place !== except && (place.users > 0 || isLoading(place))).length;
  }

  function isOtherLoading(except: Place): boolean {
    return [...places.values()].some((place) => place !== except && isLoading(place));
  }

  /** A guest may push the kept model out, now and then, where the two never fit together; no other model in use. */
  function assertMayExchange(modelId: string, { isUrgent }: Place, memory: ModelMemory): void {
    if (isUrgent) return;
    const kept = places.get(keptId ?? '')?.memory;
    if (kept === undefined || sumMemory([kept, memory]) <= budgetBytes) {
      throw new ProductError(
        'server/not-ready',
        `the models in use leave no room for another one (${formatMegabytes(budgetBytes)} for all); try again in a moment`,
      );
    }
    const waitMs = guestExchangedMs + GUEST_INTERVAL_MS - Date.now();
    if (waitMs <= 0) return;
    const retryAfterSeconds = Math.ceil(waitMs / 1000);
    throw new ProductError(
      'server/not-ready',
      `model ${modelId} and the champion do not fit into memory together, and they were exchanged a moment ago; try again in ${retryAfterSeconds} s`,
      { details: { retryAfterSeconds } },
    );
  }

  /** Frees models that nobody uses, least recently used first; gives their ids. */
  function freeIdle(isSpared: (modelId: string) => boolean): string[] {
    const freed: string[] = [];
    for (const [modelId, place] of places) {
      if (!isIdle(place) || isSpared(modelId)) continue;
      places.delete(modelId);
      place.classifier?.dispose();
      freed.push(modelId);
    }
    return freed;
  }

  function freeRetired(): void {
    freeIdle((modelId) => modelId === keptId || places.get(modelId)?.isRetired !== true);
  }

  /** Back to what was there before an exchange that failed. */
  async function restore(modelId: string): Promise<void> {
    const place = addPlace(modelId);
    try {
      const model = await open(modelId);
      place.memory = model.memory;
      place.classifier = await model.load();
    } catch (error) {
      // The next who asks for it tries again.
      places.delete(modelId);
      reportError(error);
    }
  }

  function lend(modelId: string, place: Place, classifier: Classifier): Lease {
    places.delete(modelId);
    places.set(modelId, place);
    place.users++;
    let isReleased = false;
    return {
      classifier,
      release() {
        if (isReleased) return;
        isReleased = true;
        place.users--;
        freeRetired();
        gate.recheck();
      },
    };
  }

  return {
    async take(modelId, { keepAlive, isUrgent = false, onLoaded }) {
      for (;;) {
        while (gate.isClosed) await gate.pass();
        let place = places.get(modelId);
        if (place?.classifier !== undefined) {
          const lease = lend(modelId, place, place.classifier);
          onLoaded?.();
          return lease;
        }
        place ??= addPlace(modelId);
        place.isUrgent ||= isUrgent;
        if (onLoaded !== undefined) place.onLoaded.add(onLoaded);
        await place.task.join(keepAlive);
        // Until this request goes on, the model may have been freed for another one: then it is loaded again.
      }
    },
    get isExchanging() {
      return gate.isClosed;
    },
    settle: () => gate.pass(),
    keep(modelId) {
      keptId = modelId;
      const place = places.get(modelId);
      if (place !== undefined) place.isRetired = false;
      freeRetired();
    },
    retire(modelId) {
      const place = places.get(modelId);
      if (place === undefined || modelId === keptId) return;
      place.isRetired = true;
      freeRetired();
    },
  };
}
