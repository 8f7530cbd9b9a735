/** Which engine computes: chosen once, announced, never silently replaced by a slower one. */
import { ProductError } from '../../shared/errors.ts';
import type { Engine } from './engine.ts';
import { isTensorFlowSetUp, loadTensorFlowAddon } from './tensorflow/addon.ts';
import type { TensorFlowEngineOptions } from './tensorflow/tensorflow-engine.ts';
import { isWebgpuSetUp } from './webgpu/dawn.ts';
import { findAdapter } from './webgpu/device.ts';

export const ENGINE_CHOICES = ['auto', 'tensorflow', 'webgpu', 'tfjs'] as const;
export type EngineChoice = (typeof ENGINE_CHOICES)[number];

export type EngineOptions = Required<Pick<TensorFlowEngineOptions, 'precision'>> & TensorFlowEngineOptions;

const ASK_FOR_SLOW_ENGINE = 'or ask for the slow engine with --engine tfjs (tiny networks only)';

/**
 * Start an engine. `auto` is `tensorflow` where it is set up, else `webgpu` where that is set up and finds a GPU; a
 * software adapter and the slow `tfjs` have to be asked for.
 *
 * Errors: `engine/unavailable` with the command to run, `engine/unsupported` when an engine lacks the precision.
 */
export async function startEngine(choice: EngineChoice, options: EngineOptions): Promise<Engine> {
  const name = choice === 'auto' ? await chooseFastEngine() : choice;
  if (name !== 'tensorflow' && options.precision !== 'float32') {
    throw new ProductError(
      'engine/unsupported',
      `the ${name} engine computes in float32, this run in ${options.precision}; start a run with --precision float32, or use --engine tensorflow`,
    );
  }
  if (name === 'tfjs') {
    const { createTfjsEngine } = await import('./tfjs-engine.ts');
    return createTfjsEngine('wasm');
  }
  if (name === 'webgpu') {
    const { createWebgpuEngine } = await import('./webgpu/webgpu-engine.ts');
    return createWebgpuEngine();
  }
  const setUp = isTensorFlowSetUp();
  if (!setUp.ready) throw new ProductError('engine/unavailable', `${setUp.reason}, ${ASK_FOR_SLOW_ENGINE}`);
  const { TensorFlowEngine } = await import('./tensorflow/tensorflow-engine.ts');
  return new TensorFlowEngine(loadTensorFlowAddon(), options);
}

async function chooseFastEngine(): Promise<'tensorflow' | 'webgpu'> {
  const tensorFlow = isTensorFlowSetUp();
  if (tensorFlow.ready) return 'tensorflow';
  const found = await describeGpu();
  if (found === 'gpu') return 'webgpu';
  throw new ProductError('engine/unavailable', `${tensorFlow.reason}; ${found}; ${ASK_FOR_SLOW_ENGINE}`);
}

/** `gpu`, or why the webgpu engine is not a fast one here. */
async function describeGpu(): Promise<string> {
  const setUp = isWebgpuSetUp();
  if (!setUp.ready) return `for a GPU without CUDA, ${setUp.reason}`;
  try {
    const { adapter, isSoftware } = await findAdapter();
    if (!isSoftware) return 'gpu';
    return `WebGPU finds only the software adapter ${adapter.info.description}, which --engine webgpu takes`;
  } catch (error) {
    if (error instanceof ProductError) return error.message;
    throw error;
  }
}
