/** What a message asks of this model: pixels in its input's shape, and layers to answer with. */
import type { LayerEntry, ModelManifest } from '../../shared/manifest.ts';
import { sizeOf } from '../../shared/resnet.ts';
import type { InferenceMessage, InputTensor, RawMessage, WantedOutput } from './inference-message.ts';
import { describeValue, refuse } from './json-value.ts';
import { OIP_LIMITS } from './oip-limits.ts';
import { DEFAULT_OUTPUTS, findOutput, INPUT_DATATYPE, INPUT_NAME } from './tensor-contract.ts';

export interface InferenceRequest {
  id: string | undefined;
  batch: number;
  /** [batch, height, width, channels] uint8; may be a view of the request's body */
  pixels: Uint8Array;
  outputs: readonly (WantedOutput & { layer: LayerEntry })[];
}

/** Errors: 'request/invalid'. */
export function resolveRequest(message: InferenceMessage | RawMessage, manifest: ModelManifest): InferenceRequest {
  const isRaw = 'bytes' in message;
  const { batch, pixels } = isRaw ? readRaw(message, manifest) : readPixels(message, manifest);
  const isBinaryByDefault = isRaw || message.isBinaryByDefault;
  const defaults = DEFAULT_OUTPUTS.map((name) => ({ name, isBinary: isBinaryByDefault }));
  const wanted = (isRaw ? undefined : message.outputs) ?? defaults;
  const outputs = wanted.map((each) => ({ ...each, layer: findOutput(manifest, each.name) }));
  checkAnswerSize(outputs, batch);
  return { id: isRaw ? undefined : message.id, batch, pixels, outputs };
}

function readRaw({ bytes }: RawMessage, { architecture }: ModelManifest): Pick<InferenceRequest, 'batch' | 'pixels'> {
  const imageBytes = sizeOf(architecture.inputShape);
  const batch = bytes.length / imageBytes;
  if (!Number.isInteger(batch) || batch === 0) {
    refuse(`the body has ${bytes.length} bytes; ${imageBytes} for each image of input "${INPUT_NAME}" are expected`);
  }
  checkBatch(batch);
  return { batch, pixels: bytes };
}

function readPixels({ inputs }: InferenceMessage, manifest: ModelManifest): Pick<InferenceRequest, 'batch' | 'pixels'> {
  const unknown = inputs.find(({ name }) => name !== INPUT_NAME);
  if (unknown !== undefined) {
    refuse(`the model has no input ${describeValue(unknown.name)}; its only input is "${INPUT_NAME}"`);
  }
  const [input] = inputs;
  if (input === undefined) return refuse(`the input "${INPUT_NAME}" is missing`);
  if (input.datatype !== INPUT_DATATYPE) {
    refuse(`input "${INPUT_NAME}" has datatype ${input.datatype}; ${INPUT_DATATYPE} is expected`);
  }
  const batch = checkShape(input, manifest);
  const count = sizeOf(input.shape);
  return { batch, pixels: readContent(input, count) };
}

/** The batch of a shape that fits the model. */
function checkShape({ shape }: InputTensor, { architecture: { inputShape } }: ModelManifest): number {
  const [batch = 0, ...image] = shape;
  if (image.length !== inputShape.length || image.some((size, axis) => size !== inputShape[axis])) {
    // As short as it is long: a shape of a million axes is not repeated.
    const got = shape.length > 8 ? `${shape.length} axes` : `shape [${shape.join(', ')}]`;
    refuse(`input "${INPUT_NAME}" has ${got}; [-1, ${inputShape.join(', ')}] is expected`);
  }
  checkBatch(batch);
  return batch;
}

function checkBatch(batch: number): void {
  if (batch < 1 || batch > OIP_LIMITS.batch) {
    refuse(`got a batch of ${batch} images; 1 to ${OIP_LIMITS.batch} are expected`);
  }
}

function readContent({ name, shape, content }: InputTensor, count: number): Uint8Array {
  if ('bytes' in content) {
    if (content.bytes.length === count) return content.bytes;
    return refuse(`input "${name}" has ${content.bytes.length} bytes; its shape needs ${count}`);
  }
  const values = new Uint8Array(count);
  const isNested = Array.isArray(content.data[0]);
  const place = `data of input "${name}"`;
  const end = isNested
    ? fillNested(values, content.data, { shape, axis: 0, offset: 0, place })
    : fillFlat(values, content.data, { count, offset: 0, place });
  if (end !== count) throw new Error('internal: a tensor was not filled');
  return values;
}

interface Place {
  offset: number;
  place: string;
}

/** Returns the offset after the last value. Goes no deeper than the shape has axes. */
function fillNested(
  target: Uint8Array,
  list: readonly unknown[],
  { shape, axis, offset, place }: Place & { shape: readonly number[]; axis: number },
): number {
  const size = shape[axis] ?? 0;
  if (axis === shape.length - 1) return fillFlat(target, list, { count: size, offset, place });
  if (list.length !== size) refuse(`${place} has ${list.length} entries on axis ${axis}; the shape says ${size}`);
  let next = offset;
  for (const each of list) {
    if (!Array.isArray(each)) {
      refuse(`${place} has ${describeValue(each)} on axis ${axis}; it must be flat or nested as its shape is`);
    }
    next = fillNested(target, each as unknown[], { shape, axis: axis + 1, offset: next, place });
  }
  return next;
}

function fillFlat(
  target: Uint8Array,
  list: readonly unknown[],
  { count, offset, place }: Place & { count: number },
): number {
  if (list.length !== count) refuse(`${place} has ${list.length} values where its shape needs ${count}`);
  for (let index = 0; index < count; index++) {
    const value = list[index];
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 255) {
      refuse(`${place} has ${describeValue(value)} at place ${offset + index}; ${INPUT_DATATYPE} takes 0 to 255`);
    }
    target[offset + index] = value;
  }
  return offset + count;
}

function checkAnswerSize(outputs: InferenceRequest['outputs'], batch: number): void {
  const countValues = (each: InferenceRequest['outputs']): number =>
    each.reduce((sum, { layer }) => sum + sizeOf(layer.shape) * batch, 0);
  const values = countValues(outputs);
  const jsonValues = countValues(outputs.filter(({ isBinary }) => !isBinary));
  if (jsonValues > OIP_LIMITS.jsonValues) {
    refuse(
      `these outputs have ${jsonValues} values in JSON; at most ${OIP_LIMITS.jsonValues} are expected; ask for fewer, or for them as bytes ("binary_data": true)`,
    );
  }
  if (values > OIP_LIMITS.values) {
    refuse(`these outputs have ${values} values; at most ${OIP_LIMITS.values} are expected; ask for fewer`);
  }
}
