/**
 * A loaded model on the thread that has it: pixels in, numbers out. It owns the tensors; whoever calls it sees plain
 * arrays. What the numbers mean (labels, probabilities) and how they travel is not known here.
 */
import type { GraphModel } from '@tensorflow/tfjs-converter';
import { tensor, tidy, zeros, type Tensor } from '@tensorflow/tfjs-core';
import type { KernelVariant } from '../../shared/engine/kernel-module.ts';
import type { EngineMode } from '../../shared/engine/layout.ts';
import { ProductError } from '../../shared/errors.ts';
import type { LayerEntry, ModelManifest } from '../../shared/manifest.ts';
import { normalizePixels } from '../../shared/normalize.ts';
import { INPUT_LAYER, LOGITS_LAYER } from '../../shared/resnet.ts';
import type { LinearWeights } from './linear-weights.ts';

/** How a model computes. Two that agree in model and this give the same bits. */
export interface Computation {
  mode: EngineMode;
  variant: KernelVariant;
}

export interface LoadedModel {
  readonly manifest: ModelManifest;
  readonly computation: Computation;
  /** pixels [height, width, channels] uint8 -> logits [classes]. */
  classify(pixels: Uint8Array): Float32Array;
  /** pixels [height, width, channels] uint8 -> the layer's values in the order of its shape. */
  activate(pixels: Uint8Array, layer: LayerEntry): Float32Array;
  /** The same for several layers in one run, in their order. */
  activateAll(pixels: Uint8Array, layers: readonly LayerEntry[]): Float32Array[];
  /** What the logits are computed with. */
  readonly linear: LinearWeights;
  /** Free the weights. */
  dispose(): void;
}

export type LoadedModelParts = Pick<LoadedModel, 'manifest' | 'computation' | 'linear'>;

/**
 * Takes over `model`: it is disposed with what this returns, or here when it is refused. The first run is made here, on all
 * layers: it warms the kernels up and shows that each layer has the shape that the manifest promises.
 *
 * Errors   'model/damaged' when a shape differs
 */
export function createLoadedModel(model: GraphModel, { manifest, computation, linear }: LoadedModelParts): LoadedModel {
  const [height, width, channels] = manifest.architecture.inputShape;
  const inputShape = [1, height, width, channels];
  const logits = manifest.layers.find(({ name }) => name === LOGITS_LAYER);
  if (logits === undefined) {
    throw new ProductError(
      'model/damaged',
      `the manifest has no layer "${LOGITS_LAYER}"; convert the checkpoint again`,
    );
  }

  function run(input: Tensor, layers: readonly LayerEntry[]): Tensor[] {
    const outputs = model.execute(
      { [INPUT_LAYER]: input },
      layers.map(({ node }) => node),
    );
    return Array.isArray(outputs) ? outputs : [outputs];
  }

  function activateAll(pixels: Uint8Array, layers: readonly LayerEntry[]): Float32Array[] {
    let values: Float32Array[] = [];
    tidy(() => {
      const outputs = run(tensor(normalizePixels(pixels, manifest.preprocess), inputShape), layers);
      values = outputs.map((output) => output.dataSync<'float32'>());
    });
    return values;
  }

  function activate(pixels: Uint8Array, layer: LayerEntry): Float32Array {
    const [values] = activateAll(pixels, [layer]);
    if (values === undefined) throw new Error(`internal: the graph gave nothing for "${layer.name}"`);
    return values;
  }

  function warmUp(): void {
    tidy(() => {
      const outputs = run(zeros(inputShape), manifest.layers);
      manifest.layers.forEach(({ name, shape }, index) => {
        const actual = outputs[index]?.shape ?? [];
        if (actual.join() !== [1, ...shape].join()) {
          throw new ProductError(
            'model/damaged',
            `layer "${name}" comes out as [${actual.slice(1).join(', ')}], the manifest promises [${shape.join(', ')}]; convert the checkpoint again`,
          );
        }
      });
    });
  }

  try {
    warmUp();
  } catch (error) {
    model.dispose();
    throw error;
  }
  return {
    manifest,
    computation,
    classify: (pixels) => activate(pixels, logits),
    activate,
    activateAll,
    linear,
    dispose: () => model.dispose(),
  };
}
