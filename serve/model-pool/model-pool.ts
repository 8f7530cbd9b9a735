/**
 * The models that answer. Whoever answers a request takes one, by name or as the champion of a channel, and gives it back;
 * which files it came from, when it is replaced and when it is freed is decided here.
 */
import type { ModelReference } from '../../shared/api.ts';
import { isRequestError, ProductError } from '../../shared/errors.ts';
import type { ModelManifest } from '../../shared/manifest.ts';
import { channelNameSchema, DEFAULT_CHANNEL } from '../../shared/store.ts';
import type { AssetSource } from '../asset-source.ts';
import type { Classifier } from '../inference/classifier.ts';
import { createChannelFollower, type ChannelFollower, type RefusedChampion } from './channel-follower.ts';
import { createModelCatalogue, type ModelCatalogue, type Pointer } from './model-catalogue.ts';
import { findModel, isModelId, type NamedModel } from './model-names.ts';
import { createModelShelf, type Lease, type OpenedModel } from './model-shelf.ts';
import type { KeepAlive } from './shared-task.ts';

/** Which model is to answer; neither: the champion of the default channel. */
export interface ModelChoice {
  /** An id, its first 8 or more digits, or an alias. */
  model?: string | undefined;
  /** The channel whose champion is to answer. */
  channel?: string | undefined;
}

/** A model for one request. */
export interface TakenModel {
  readonly classifier: Classifier;
  readonly manifest: ModelManifest;
  /** How the answer names it. */
  readonly reference: ModelReference;
  /** Whether the choice can mean no other model, ever: a whole id was given. */
  readonly isPinned: boolean;
  release(): void;
}

export interface ModelPool {
  readonly catalogue: ModelCatalogue;
  /** Whether the champion of the default channel is loaded. */
  readonly isReady: boolean;
  /** Pointer of the default channel that is in force; undefined until its champion is loaded. No look is begun. */
  readonly champion: Pointer | undefined;
  /** The champion that the store's pointer names, where it could not be loaded: another one goes on answering. */
  readonly refused: RefusedChampion | undefined;
  /** Load the champion of the default channel. Errors: 'server/not-ready' (its cause says why). */
  prepare(keepAlive: KeepAlive): Promise<ModelManifest>;
  /**
   * Errors   'request/invalid' for both names, 'model/unknown', 'channel/unknown';
   *          'server/not-ready': a load failed (its cause says why) or there is no room (without cause)
   */
  take(choice: ModelChoice, keepAlive: KeepAlive): Promise<TakenModel>;
  /** The same without loading a model that was asked for by name. */
  find(choice: ModelChoice, keepAlive: KeepAlive): Promise<FoundModel>;
}

export interface FoundModel {
  modelId: string;
  /** Of the channel whose champion it is; absent for a model that was named. */
  pointer?: Pointer;
}

export interface ModelPoolOptions {
  /** The models that come with the server. */
  shipped: AssetSource;
  /** The operator's models and pointers. */
  store: AssetSource;
  open: (source: AssetSource, modelId: string) => Promise<OpenedModel>;
  /** Longest age of a pointer that a request goes by without looking again. */
  pointerTtlMs: number;
  /** Of the engine's memory, for all models together. */
  budgetBytes: number;
  /** The same where more than two are to be loaded side by side and none is a new champion. Default: `budgetBytes`. */
  guestBudgetBytes?: number | undefined;
  /** For what goes wrong while the old champion goes on answering. */
  reportError: (error: unknown) => void;
}

export function createModelPool(options: ModelPoolOptions): ModelPool {
  const { shipped, store, open, pointerTtlMs: ttlMs, budgetBytes, guestBudgetBytes, reportError } = options;
  const catalogue = createModelCatalogue({ shipped, store });
  const shelf = createModelShelf({
    open: async (modelId) => open(await catalogue.findSource(modelId), modelId),
    budgetBytes,
    guestBudgetBytes,
    reportError,
  });
  /** Of the channels that were asked for and exist. */
  const followers = new Map<string, ChannelFollower>();

  function createFollower(channel: string): ChannelFollower {
    return createChannelFollower({
      readPointer: async () => (await catalogue.readPointer(channel)) ?? Promise.reject(await missingPointer(channel)),
      shelf,
      isKept: channel === DEFAULT_CHANNEL,
      ttlMs,
      reportError,
    });
  }

  const champion = createFollower(DEFAULT_CHANNEL);
  followers.set(DEFAULT_CHANNEL, champion);

  /** A channel that does not exist is not remembered: anybody can make up names. */
  async function findFollower(channel: string): Promise<ChannelFollower> {
    const known = followers.get(channel);
    if (known !== undefined) return known;
    const exists = channelNameSchema.safeParse(channel).success && (await catalogue.readPointer(channel)) !== undefined;
    if (!exists) throw await unknownChannel(channel);
    const follower = followers.get(channel) ?? createFollower(channel);
    followers.set(channel, follower);
    return follower;
  }

  async function missingPointer(channel: string): Promise<ProductError> {
    if (channel !== DEFAULT_CHANNEL) return unknownChannel(channel);
    return new ProductError('model/missing', `there is no pointer of ${channel}; restore serve/models from git`);
  }

  async function unknownChannel(channel: string): Promise<ProductError> {
    const channels = await catalogue.listChannels();
    const message = `there is no channel "${channel}"; the channels are ${channels.join(', ')}`;
    return new ProductError('channel/unknown', message, { details: { channels } });
  }

  async function resolve({ model, channel }: ModelChoice, keepAlive: KeepAlive): Promise<NamedModel> {
    if (model !== undefined && channel !== undefined) {
      throw new ProductError('request/invalid', 'got model and channel; one of them, or neither, is expected');
    }
    if (model === undefined) return { channel: channel ?? DEFAULT_CHANNEL };
    return findModel(model, { catalogue, readPointer: () => champion.follow(keepAlive) });
  }

  async function take(choice: ModelChoice, keepAlive: KeepAlive): Promise<TakenModel> {
    const named = await resolve(choice, keepAlive);
    if ('channel' in named) {
      const { lease, pointer } = await (await findFollower(named.channel)).take(keepAlive);
      return toTaken(lease, { pointer, isPinned: false });
    }
    const lease = await shelf.take(named.modelId, { keepAlive });
    return toTaken(lease, { isPinned: isModelId(choice.model ?? '') });
  }

  async function find(choice: ModelChoice, keepAlive: KeepAlive): Promise<FoundModel> {
    const named = await resolve(choice, keepAlive);
    if ('modelId' in named) return named;
    const pointer = await (await findFollower(named.channel)).follow(keepAlive);
    return { modelId: pointer.champion, pointer };
  }

  return {
    catalogue,
    get isReady() {
      return champion.pointer !== undefined;
    },
    get champion() {
      return champion.pointer;
    },
    get refused() {
      return champion.refused;
    },
    async prepare(keepAlive) {
      const { lease } = await orNotReady(champion.take(keepAlive));
      lease.release();
      return lease.classifier.manifest;
    },
    take: (choice, keepAlive) => orNotReady(take(choice, keepAlive)),
    find: (choice, keepAlive) => orNotReady(find(choice, keepAlive)),
  };
}

function toTaken(lease: Lease, { pointer, isPinned }: { pointer?: Pointer; isPinned: boolean }): TakenModel {
  const { manifest, computation } = lease.classifier;
  const { modelId: id, name } = manifest;
  return {
    classifier: lease.classifier,
    manifest,
    reference: { id, name, channel: pointer?.channel ?? null, seq: pointer?.seq ?? null, mode: computation.mode },
    isPinned,
    release: () => lease.release(),
  };
}

/** What the caller did not cause is the operator's: the caller hears that it may pass, the log hears why. */
async function orNotReady<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (cause) {
    if (isRequestError(cause) || (cause instanceof ProductError && cause.code === 'server/not-ready')) throw cause;
    throw new ProductError(
      'server/not-ready',
      'the model could not be loaded; try again in a moment; the operator finds the reason in the log',
      { cause },
    );
  }
}
