/** A model pool whose files cannot be read, for apps that are to answer without a model. */
import { createModelPool, type ModelPool } from '../../serve/model-pool/model-pool.ts';

/** `read` stands for every file of the shipped models and of the store. */
export function createBrokenModels(read: () => Promise<never>): ModelPool {
  return createModelPool({
    shipped: { read },
    store: { read },
    open: read,
    pointerTtlMs: 0,
    budgetBytes: 0,
    reportError: (error) => {
      throw error;
    },
  });
}
