/**
 * A model as the routes have it: pictures in, numbers out, computed on this thread or on another one. What runs a model
 * on this thread is here; `node/inference/` has the other threads.
 */
import { ProductError } from '../../shared/errors.ts';
import type { ImageDecoder } from '../../shared/image/decode.ts';
import { encodeInputToken } from '../../shared/image/token.ts';
import type { ZlibAtOnce } from '../../shared/image/zlib-at-once.ts';
import { findLayer, LOGITS_LAYER } from '../../shared/resnet.ts';
import type { LayerEntry } from '../../shared/manifest.ts';
import type { LoadedModel, LoadedModelParts } from './loaded-model.ts';
import { preparePicture, type PictureInput } from './model-input.ts';

export interface Classifier extends LoadedModelParts {
  /** Runs of one caller that are worth beginning at the same time. */
  readonly lanes: number;
  /** Whether there is somebody to answer: threads that have the model can all be lost for a while. */
  isReady(): boolean;
  /** A picture file -> what the model sees of it. Errors: 'image/...'. */
  prepare(file: Uint8Array): Promise<PictureInput>;
  /** The same with logits [classes], in one turn. Errors: 'image/...'. */
  classifyFile(file: Uint8Array): Promise<ClassifiedFile>;
  /** pixels [height, width, channels] uint8 -> logits [classes]. They are not written to before the answer is there. */
  classify(pixels: Uint8Array): Promise<Float32Array>;
  /** The same -> the layer's values in the order of its shape. */
  activate(pixels: Uint8Array, layer: LayerEntry): Promise<Float32Array>;
  /** The same for several layers in one run, in their order. */
  activateAll(pixels: Uint8Array, layers: readonly LayerEntry[]): Promise<Float32Array[]>;
  /**
   * The same model, for the runs of one caller: it waits its turn, and nothing more is computed for it when it has left
   * or when a run of it failed for another reason than its picture.
   */
  forCaller(caller: Caller): Classifier;
  /** Free the weights. */
  dispose(): void;
}

export interface ClassifiedFile {
  input: PictureInput & { token: string };
  logits: Float32Array;
}

/** Whoever waits for an answer. */
export interface Caller {
  /** Aborted when the caller has left. */
  signal: AbortSignal;
  /** Whether it is answered while the work goes on: then the limit of time holds for each run, not for all together. */
  isStreamed?: boolean;
}

/** What a run is for. */
export interface Turn {
  signal?: AbortSignal | undefined;
  /** Not the caller's first run: those of others come before it. */
  isLater: boolean;
  /** Time since the caller's first run. */
  spentMs: number;
}

/** Work for a model, as a message. */
export interface ModelTask {
  /** A picture file, or pixels [height, width, channels] uint8. */
  input: { file: Uint8Array } | { pixels: Uint8Array };
  /** Names of the layers whose values are wanted. */
  layers: readonly string[];
  /** Whether the token of the file's picture is wanted. */
  hasToken: boolean;
}

export interface ModelResult {
  /** Of a file. */
  picture?: PictureInput;
  token?: string;
  /** In the order of the layers. */
  values: Float32Array[];
}

/** Where a model is run. */
export interface ModelRunner extends LoadedModelParts {
  readonly lanes: number;
  isReady(): boolean;
  run(task: ModelTask, turn: Turn): Promise<ModelResult>;
  dispose(): void;
}

export function createClassifier(runner: ModelRunner, caller?: Caller): Classifier {
  const { manifest, computation, linear, lanes } = runner;
  const { name: logits } = findLayer(manifest.layers, LOGITS_LAYER);
  const giveUp = new AbortController();
  const { signal } = giveUp;
  // Not AbortSignal.any: what it makes outlives a request until the old generation is collected.
  caller?.signal.addEventListener('abort', () => giveUp.abort(), { once: true });
  if (caller?.signal.aborted === true) giveUp.abort();
  let startedMs: number | undefined;
  let failure: { error: unknown } | undefined;

  async function run(task: Pick<ModelTask, 'input'> & Partial<ModelTask>): Promise<ModelResult> {
    const whole: ModelTask = { layers: [], hasToken: false, ...task };
    if (caller === undefined) return runner.run(whole, { isLater: false, spentMs: 0 });
    if (failure !== undefined) throw failure.error;
    const isLater = startedMs !== undefined;
    // In a Worker it stands still, and nobody there limits the time.
    const now = performance.now();
    startedMs ??= now;
    const spentMs = caller.isStreamed === true ? 0 : now - startedMs;
    try {
      return await runner.run(whole, { signal, isLater, spentMs });
    } catch (error) {
      if (isOfPicture(error)) throw error;
      failure ??= { error };
      // Its other runs would be computed for nobody, and the refused ones would get in all the same.
      giveUp.abort();
      throw failure.error;
    }
  }

  async function activateAll(pixels: Uint8Array, layers: readonly string[]): Promise<Float32Array[]> {
    return (await run({ input: { pixels }, layers })).values;
  }

  return {
    manifest,
    computation,
    linear,
    lanes,
    isReady: () => runner.isReady(),
    async prepare(file) {
      return pictureOf(await run({ input: { file } }));
    },
    async classifyFile(file) {
      const result = await run({ input: { file }, layers: [logits], hasToken: true });
      return { input: { ...pictureOf(result), token: result.token ?? '' }, logits: onlyOf(result.values) };
    },
    classify: async (pixels) => onlyOf(await activateAll(pixels, [logits])),
    activate: async (pixels, { name }) => onlyOf(await activateAll(pixels, [name])),
    activateAll: (pixels, layers) =>
      activateAll(
        pixels,
        layers.map(({ name }) => name),
      ),
    forCaller: (next) => createClassifier(runner, next),
    dispose: () => runner.dispose(),
  };
}

function pictureOf({ picture }: ModelResult): PictureInput {
  if (picture === undefined) throw new Error('internal: a file without a picture');
  return picture;
}

function onlyOf(values: readonly Float32Array[]): Float32Array {
  const [only] = values;
  if (only === undefined) throw new Error('internal: a layer without values');
  return only;
}

/** Runs a model on this thread. Later runs of a caller let other requests go on first. */
export function runHere(model: LoadedModel, decoder: ImageDecoder): ModelRunner {
  const { manifest, computation, linear } = model;
  return {
    manifest,
    computation,
    linear,
    lanes: 1,
    isReady: () => true,
    async run(task, { signal, isLater }) {
      if (isLater) await giveWay();
      if (signal?.aborted === true) throw callerLeft();
      return runTask(task, { model, decoder });
    },
    dispose: () => model.dispose(),
  };
}

/** Do the work. Errors: 'image/...'. */
export async function runTask(
  { input, layers, hasToken }: ModelTask,
  { model, decoder, zlib }: { model: LoadedModel; decoder: ImageDecoder; zlib?: ZlibAtOnce },
): Promise<ModelResult> {
  const { manifest } = model;
  const picture = 'file' in input ? await preparePicture(input.file, { decoder, manifest }) : undefined;
  const pixels = 'pixels' in input ? input.pixels : picture?.pixels;
  if (pixels === undefined) throw new Error('internal: a task without a picture');
  const entries = layers.map((name) => findLayer(manifest.layers, name));
  const values = entries.length === 0 ? [] : model.activateAll(pixels, entries);
  if (picture === undefined) return { values };
  return { picture, values, ...(hasToken ? { token: await encodeInputToken(picture.pixels, zlib) } : {}) };
}

/** Whether a run failed because of its picture: the next one may be sound. */
export function isOfPicture(error: unknown): error is ProductError {
  return error instanceof ProductError && error.code.startsWith('image/');
}

/** What nobody reads: the caller has left. */
export function callerLeft(): ProductError {
  return new ProductError('request/aborted', 'the caller left before its turn came; send the request again');
}

/** Let other requests go on: the model keeps the thread for a whole run. */
function giveWay(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
