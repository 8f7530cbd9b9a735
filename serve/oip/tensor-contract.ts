/** A model as the protocol sees it: one input of pixels, two outputs by default, every layer on request. */
import type { LayerEntry, ModelManifest } from '../../shared/manifest.ts';
import { LOGITS_LAYER, PROBABILITIES_LAYER } from '../../shared/resnet.ts';
import { refuse } from './json-value.ts';
import type { OipModel } from '../../shared/oip-api.ts';
import { OIP_LIMITS } from './oip-limits.ts';

export const INPUT_NAME = 'image';
export const INPUT_DATATYPE = 'UINT8';
export const OUTPUT_DATATYPE = 'FP32';
/** Of the form `<project>_<format>`, as the protocol's own list has it. */
export const PLATFORM = 'tensorflowjs_graphmodel';
export const BINARY_EXTENSION = 'binary_tensor_data';

/** The name that users of logits look for; the layer is called as in the printed network. */
const LOGITS_OUTPUT = 'logits';
export const DEFAULT_OUTPUTS: readonly string[] = [LOGITS_OUTPUT, PROBABILITIES_LAYER];

/** Errors: 'request/invalid'. */
export function findOutput(manifest: ModelManifest, name: string): LayerEntry {
  const layerName = name === LOGITS_OUTPUT ? LOGITS_LAYER : name;
  const layer = manifest.layers.find((each) => each.name === layerName);
  if (layer !== undefined) return layer;
  const names = [LOGITS_OUTPUT, ...manifest.layers.map((each) => each.name)];
  return refuse(`there is no output "${name}"; the outputs are ${names.join(', ')}`);
}

export function describeInputs({ architecture }: ModelManifest): OipModel['inputs'] {
  return [{ name: INPUT_NAME, datatype: INPUT_DATATYPE, shape: [-1, ...architecture.inputShape] }];
}

export function describeOutputs(manifest: ModelManifest): OipModel['outputs'] {
  return DEFAULT_OUTPUTS.map((name) => toMetadata(name, findOutput(manifest, name)));
}

/** What a client needs to use the numbers, and what else it may ask for. */
export function describeProperties(manifest: ModelManifest): OipModel['properties'] {
  return {
    model_id: manifest.modelId,
    model: manifest.name,
    labels: JSON.stringify(manifest.classNames),
    // `probs` are softmax(logits); calibrated ones are softmax(logits / temperature).
    temperature: String(manifest.temperature),
    max_batch_size: String(OIP_LIMITS.batch),
    layers: JSON.stringify(manifest.layers.map((layer) => toMetadata(layer.name, layer))),
  };
}

function toMetadata(name: string, { shape }: LayerEntry): OipModel['outputs'][number] {
  return { name, datatype: OUTPUT_DATATYPE, shape: [-1, ...shape] };
}
