/** Which engine computes: chosen once, announced, never silently replaced by a slower one. */
import { ProductError } from '../../shared/errors.ts';
import type { Engine } from './engine.ts';
import { isTensorFlowSetUp, loadTensorFlowAddon } from './tensorflow/addon.ts';
import type { TensorFlowEngineOptions } from './tensorflow/tensorflow-engine.ts';

export const ENGINE_CHOICES = ['auto', 'tensorflow', 'tfjs'] as const;
export type EngineChoice = (typeof ENGINE_CHOICES)[number];

export type EngineOptions = Required<Pick<TensorFlowEngineOptions, 'precision'>> & TensorFlowEngineOptions;

/**
 * Start an engine. `auto` is `tensorflow`: the slow `tfjs` has to be asked for.
 *
 * Errors: `engine/unavailable` with the command to run, `engine/unsupported` when an engine lacks the precision.
 */
export async function startEngine(choice: EngineChoice, options: EngineOptions): Promise<Engine> {
  if (choice === 'tfjs') {
    if (options.precision !== 'float32') {
      throw new ProductError(
        'engine/unsupported',
        `the tfjs engine computes in float32, this run in ${options.precision}; start a run with --precision float32, or use --engine tensorflow`,
      );
    }
    const { createTfjsEngine } = await import('./tfjs-engine.ts');
    return createTfjsEngine('wasm');
  }
  const setUp = isTensorFlowSetUp();
  if (!setUp.ready) {
    throw new ProductError(
      'engine/unavailable',
      `${setUp.reason}, or ask for the slow engine with --engine tfjs (tiny networks only)`,
    );
  }
  const { TensorFlowEngine } = await import('./tensorflow/tensorflow-engine.ts');
  return new TensorFlowEngine(loadTensorFlowAddon(), options);
}
