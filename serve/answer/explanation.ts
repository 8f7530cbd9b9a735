/** Why a model says what it says of a picture: the class activation map, and occlusion as the second opinion. */
import type { Explanation, NamedInput, Occlusion, Prediction, SignedMap } from '../../shared/api.ts';
import { argMax } from '../../shared/classification.ts';
import {
  computeClassActivation,
  findPooledLayer,
  resizeMap,
  type ClassActivation,
  type MapSize,
} from '../../shared/class-activation.ts';
import { isRequestError, ProductError } from '../../shared/errors.ts';
import type { LayerEntry, ModelManifest } from '../../shared/manifest.ts';
import { averagePatches, correlateRanks, hidePatch, placePatches, spreadPatches } from '../../shared/occlusion.ts';
import { buildLayerTable, findLayer, LOGITS_LAYER } from '../../shared/resnet.ts';
import { toDescription } from './activation-answer.ts';
import type { Classifier } from '../inference/classifier.ts';
import { toDecimal } from './decimal.ts';
import { sizesOf } from './layer-values.ts';
import type { TakenModel } from '../model-pool/model-pool.ts';
import { describePredictions, judgeAnswer } from './prediction.ts';
import { workAhead } from '../inference/work-ahead.ts';

export interface Question {
  model: TakenModel;
  /** [height, width, channels] uint8, as the model takes them */
  pixels: Uint8Array;
  /** How the answer names the picture. */
  name: NamedInput;
  /** A class by its name or number; undefined: the one that the model answers. */
  wantedClass: string | undefined;
}

/** A map that can be put over the picture. */
export interface DrawableMap extends MapSize {
  /** [height, width] */
  values: ArrayLike<number>;
}

export interface Explained<Answer> {
  answer: Answer;
  map: DrawableMap;
}

/** What a class is made of, for one picture. */
export interface ClassEvidence extends ClassActivation {
  layer: LayerEntry;
  size: MapSize;
  logits: Float32Array;
  /** [channels], of the class */
  weights: Float32Array;
  bias: number;
}

/**
 * One run of the model. Errors: 'explain/unsupported'.
 *
 * @param choose gets the logits [classes]
 */
export async function gatherEvidence(
  classifier: Classifier,
  pixels: Uint8Array,
  choose: (logits: Float32Array) => number,
): Promise<ClassEvidence> {
  const { manifest } = classifier;
  const layer = findLayer(manifest.layers, findPooledLayer(buildLayerTable(manifest.architecture)));
  const [values, logits] = await classifier.activateAll(pixels, [layer, findLayer(manifest.layers, LOGITS_LAYER)]);
  if (values === undefined || logits === undefined) throw new Error(`internal: the graph gave no "${layer.name}"`);
  const { kernel, bias: biases } = classifier.linear;
  const index = choose(logits);
  const classes = manifest.classNames.length;
  const weights = Float32Array.from(
    { length: kernel.length / classes },
    (_, row) => kernel[row * classes + index] ?? 0,
  );
  const { height, width } = sizesOf(layer.shape);
  const bias = biases[index] ?? Number.NaN;
  return { ...computeClassActivation(values, weights), layer, size: { height, width }, logits, weights, bias };
}

/**
 * The class activation map with all that it is made of.
 *
 * @param linkTo path of a channel's values
 * Errors   'class/unknown', 'explain/unsupported', 'request/invalid' for more channels than there are
 */
export async function explainByMap(
  question: Question,
  { top, linkTo }: { top: number | undefined; linkTo: (layer: string, channel: number) => string },
  defaultTop: number,
): Promise<Explained<Explanation>> {
  const { model, pixels, name } = question;
  const { manifest } = model;
  const evidence = await gatherEvidence(model.classifier, pixels, (logits) => chooseClass(question, logits));
  const { layer, size, map, means, contributions, logits, weights, bias } = evidence;
  const chosen = describeClass(logits, chooseClass(question, logits), manifest);
  if (top !== undefined && top > contributions.length) {
    throw new ProductError(
      'request/invalid',
      `top is ${top}; the layer has ${contributions.length} channels; ask for at most so many`,
    );
  }
  const strength = (channel: number): number => Math.abs(contributions[channel] ?? 0);
  const total = contributions.reduce((sum, each) => sum + Math.abs(each), 0);
  const channels = Array.from(contributions, (_, channel) => channel)
    .toSorted((a, b) => strength(b) - strength(a) || a - b)
    .slice(0, top ?? defaultTop)
    .map((channel) => ({
      channel,
      mean: toDecimal(means[channel] ?? Number.NaN),
      weight: toDecimal(weights[channel] ?? Number.NaN),
      contribution: toDecimal(contributions[channel] ?? Number.NaN),
      share: total === 0 ? 0 : toDecimal(strength(channel) / total),
      url: linkTo(layer.name, channel),
    }));
  const described = describeMap(map, size);
  return {
    answer: {
      method: 'cam',
      model: model.reference,
      input: name,
      class: chosen,
      layer: toDescription(layer),
      map: described,
      bias: toDecimal(bias),
      residual: toDecimal(measureResidual(evidence, chosen.index)),
      contributions: Array.from(contributions, toDecimal),
      channels,
      ...judgeAnswer({ logits, pixels }, manifest),
    },
    map: { ...size, values: map },
  };
}

/** |mean of the map + bias - logit| of the class that the evidence is of. */
export function measureResidual({ map, bias, logits }: ClassEvidence, index: number): number {
  const mean = map.reduce((sum, value) => sum + value, 0) / map.length;
  return Math.abs(mean + bias - (logits[index] ?? Number.NaN));
}

export interface PatchOptions {
  /** Side of the hidden square; undefined: a quarter of the picture's. */
  patch: number | undefined;
  /** Undefined: half of the patch. */
  stride: number | undefined;
}

/**
 * Hide one patch after the other.
 *
 * Errors   'class/unknown', 'request/invalid' for patches that do not fit or are too many
 */
export async function explainByOcclusion(
  question: Question,
  options: PatchOptions,
  maxPatches: number,
): Promise<Explained<Occlusion>> {
  const { model, pixels, name } = question;
  const { classifier, manifest } = model;
  const [height, width] = manifest.architecture.inputShape;
  const size = { height, width };
  const { patch, stride } = resolvePatch(options, Math.min(height, width));
  const patches = placePatches(size, { size: patch, stride });
  if (patches.length > maxPatches) {
    throw new ProductError(
      'request/invalid',
      `a patch of ${patch} every ${stride} pixels makes ${patches.length} runs of the model; at most ${maxPatches} are expected; ask for a larger stride`,
      { details: { patches: patches.length, maxPatches } },
    );
  }
  const fill = manifest.preprocess.mean.map((mean) => Math.round(255 * mean));
  const logits = await classifier.classify(pixels);
  const index = chooseClass(question, logits);
  const drops: number[] = [];
  const runs = workAhead(
    patches,
    (each) => classifier.classify(hidePatch(pixels, { width, patch: each, fill })),
    classifier.lanes,
  );
  for await (const hidden of runs) drops.push((logits[index] ?? Number.NaN) - (hidden[index] ?? Number.NaN));
  const columns = patches.filter(({ top }) => top === 0).length;
  const cam = await findMap(question, index);
  const agreement =
    cam === undefined ? null : correlateRanks(drops, averagePatches(resizeMap(cam.values, cam, size), size, patches));
  return {
    answer: {
      method: 'occlusion',
      model: model.reference,
      input: name,
      class: describeClass(logits, index, manifest),
      patch,
      stride,
      fill,
      map: describeMap(Float64Array.from(drops), { height: patches.length / columns, width: columns }),
      agreement: agreement === null ? null : toDecimal(agreement),
      ...judgeAnswer({ logits, pixels }, manifest),
    },
    map: { ...size, values: spreadPatches(drops, size, patches) },
  };
}

function resolvePatch({ patch: wanted, stride: step }: PatchOptions, side: number): { patch: number; stride: number } {
  const patch = wanted ?? Math.max(1, Math.round(side / 4));
  const stride = step ?? Math.max(1, Math.round(patch / 2));
  if (patch <= side && stride <= patch) return { patch, stride };
  throw new ProductError(
    'request/invalid',
    `patch is ${patch} and stride ${stride}; a patch of at most ${side} pixels, the side of the model's input, and a stride of at most the patch are expected`,
  );
}

/** The class activation map of that class; undefined where the network has none. */
async function findMap({ model, pixels }: Question, index: number): Promise<DrawableMap | undefined> {
  try {
    const { map, size } = await gatherEvidence(model.classifier, pixels, () => index);
    return { ...size, values: map };
  } catch (error) {
    if (isRequestError(error) && error.code === 'explain/unsupported') return undefined;
    throw error;
  }
}

/** Errors: 'class/unknown'. */
function chooseClass({ model, wantedClass }: Pick<Question, 'model' | 'wantedClass'>, logits: Float32Array): number {
  const { classNames } = model.manifest;
  if (wantedClass === undefined) return argMax(logits);
  const named = classNames.indexOf(wantedClass);
  const index = named >= 0 || !/^\d{1,6}$/.test(wantedClass) ? named : Number(wantedClass);
  if (index >= 0 && index < classNames.length) return index;
  throw new ProductError(
    'class/unknown',
    `there is no class "${wantedClass}"; the classes are ${classNames.join(', ')}, or 0 to ${classNames.length - 1}`,
    { details: { classes: classNames } },
  );
}

function describeClass(logits: Float32Array, index: number, manifest: ModelManifest): Prediction {
  const [prediction] = describePredictions(logits, [index], manifest);
  if (prediction === undefined) throw new Error('internal: a class without a prediction');
  return prediction;
}

function describeMap(map: Float64Array, { height, width }: MapSize): SignedMap {
  const mean = map.reduce((sum, value) => sum + value, 0) / map.length;
  const [min, max] = [Math.min(...map), Math.max(...map)];
  return {
    height,
    width,
    min: toDecimal(min),
    max: toDecimal(max),
    mean: toDecimal(mean),
    values: Array.from(map, toDecimal),
  };
}
