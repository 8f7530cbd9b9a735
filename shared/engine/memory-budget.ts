/** How much of the engine's memory models may take on each platform, and the refusal of a model that never fits. */
import { ProductError } from '../errors.ts';

const MEGABYTE = 1e6;

export const PLATFORMS = ['worker', 'node'] as const;
export type Platform = (typeof PLATFORMS)[number];

/**
 * Bytes of WebAssembly memory for models in one engine. An isolate of a Worker has 128 MB for all: these, the JavaScript
 * heap, and what decoding a picture takes at its worst. A Node process has an engine for each thread: two models may take
 * all of this in each, and more of them only as long as all threads together take no more than this.
 */
export const MODEL_BUDGET_BYTES: Readonly<Record<Platform, number>> = {
  worker: 64 * MEGABYTE,
  node: 512 * MEGABYTE,
};

/**
 * `name` says which model, for the message.
 *
 * Errors   'model/too-large', with both numbers in its details
 */
export function assertModelFits(name: string, neededBytes: number, budgetBytes: number): void {
  if (neededBytes <= budgetBytes) return;
  throw new ProductError(
    'model/too-large',
    `${name} takes ${formatMegabytes(neededBytes)} of the engine's memory, at most ${formatMegabytes(budgetBytes)} are expected here; "npm run model -- plan" says what for; serve a smaller network, or a large one on Node`,
    { details: { neededBytes, budgetBytes } },
  );
}

export function formatMegabytes(bytes: number): string {
  return `${(bytes / MEGABYTE).toFixed(1)} MB`;
}
