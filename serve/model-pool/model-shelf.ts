/**
 * The models in memory, each loaded once however many ask for it. A model is freed when nobody uses it any more and its
 * place is needed, or at once when it was replaced. One model is kept: the champion of the default channel.
 */
import { ProductError } from '../../shared/errors.ts';
import type { Classifier } from '../classifier.ts';
import { createSharedTask, type KeepAlive, type SharedTask } from './shared-task.ts';

/** The right to use a model: it is not freed before `release()`, which may be called more than once. */
export interface Lease {
  readonly classifier: Classifier;
  release(): void;
}

export interface TakeOptions {
  keepAlive: KeepAlive;
  /** It is to answer by default or to replace another one: it gets a place even when all are taken. */
  isUrgent?: boolean;
}

export interface ModelShelf {
  /**
   * The model, loaded if need be.
   *
   * Errors   those of the load; 'server/not-ready' when all places are taken by models in use
   */
  take(modelId: string, options: TakeOptions): Promise<Lease>;
  /** Keep this model, and no longer the one that was kept before. */
  keep(modelId: string): void;
  /** Free the model as soon as nobody uses it; not the kept one. */
  retire(modelId: string): void;
}

interface Place {
  task: SharedTask<Classifier>;
  /** Absent while it is being loaded. */
  classifier: Classifier | undefined;
  users: number;
  isRetired: boolean;
}

export interface ModelShelfOptions {
  load: (modelId: string) => Promise<Classifier>;
  /** Models in memory beside the kept one, and beside a replaced one that is still in use. */
  otherModels: number;
}

export function createModelShelf({ load, otherModels }: ModelShelfOptions): ModelShelf {
  /** By model id, least recently used first. */
  const places = new Map<string, Place>();
  let keptId: string | undefined;

  function addPlace(modelId: string): Place {
    const place: Place = {
      task: createSharedTask(() => fill(modelId, place)),
      classifier: undefined,
      users: 0,
      isRetired: false,
    };
    places.set(modelId, place);
    return place;
  }

  async function fill(modelId: string, place: Place): Promise<Classifier> {
    try {
      const classifier = await load(modelId);
      if (places.get(modelId) === place && place.classifier === undefined) place.classifier = classifier;
      // It was given up as overdue, and another load was faster.
      else classifier.dispose();
      return place.classifier ?? classifier;
    } catch (error) {
      if (place.classifier === undefined && places.get(modelId) === place) places.delete(modelId);
      throw error;
    }
  }

  /** Frees models that nobody uses, least recently used first, until `others` remain beside the kept one. */
  function trim(others: number): void {
    for (const [modelId, { classifier, users, isRetired }] of places) {
      if (classifier === undefined || users > 0 || modelId === keptId) continue;
      if (!isRetired && countOthers() <= others) continue;
      places.delete(modelId);
      classifier.dispose();
    }
  }

  function countOthers(): number {
    return [...places].filter(([modelId, { isRetired }]) => modelId !== keptId && !isRetired).length;
  }

  function makeRoom(isUrgent: boolean): void {
    // Two champions are in memory during a swap: that is the moment to have nothing else there.
    trim(isUrgent ? 0 : otherModels - 1);
    if (isUrgent || countOthers() < otherModels) return;
    throw new ProductError(
      'server/not-ready',
      `the champion and ${otherModels} other model(s) are in use, and no more fit into memory; try again in a moment`,
    );
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
        trim(otherModels);
      },
    };
  }

  return {
    async take(modelId, { keepAlive, isUrgent = false }) {
      for (;;) {
        let place = places.get(modelId);
        if (place?.classifier !== undefined) return lend(modelId, place, place.classifier);
        if (place === undefined) {
          makeRoom(isUrgent);
          place = addPlace(modelId);
        }
        await place.task.join(keepAlive);
        // Until this request goes on, the model may have been freed for another one: then it is loaded again.
      }
    },
    keep(modelId) {
      keptId = modelId;
      const place = places.get(modelId);
      if (place !== undefined) place.isRetired = false;
      trim(otherModels);
    },
    retire(modelId) {
      const place = places.get(modelId);
      if (place === undefined || modelId === keptId) return;
      place.isRetired = true;
      trim(otherModels);
    },
  };
}
