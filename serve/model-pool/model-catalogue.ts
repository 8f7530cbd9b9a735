/**
 * What there is to answer with: the models and pointers of the store, and behind them the models that the server is
 * shipped with. Reads files only; nothing is loaded here.
 */
import { ProductError } from '../../shared/errors.ts';
import {
  EVALUATION_FILE,
  MANIFEST_FILE,
  parseEvaluation,
  type Evaluation,
  type ModelManifest,
} from '../../shared/manifest.ts';
import { sha256Schema } from '../../shared/sha256.ts';
import {
  channelNameSchema,
  channelPath,
  DEFAULT_CHANNEL,
  historyPath,
  modelFilePath,
  parseChannel,
  parseChannelChange,
  type Channel,
  type ChannelChange,
} from '../../shared/store.ts';
import { parseJson, type AssetErrors, type AssetSource } from '../asset-source.ts';
import { readManifest } from '../inference/model-files.ts';
import { sha256Hex } from '../sha256.ts';

/** A channel's pointer with every `null` replaced by the id of the shipped model. */
export interface Pointer {
  channel: string;
  seq: number;
  /** Id of the model that answers. */
  champion: string;
  /** Ids of the champions before, newest first. */
  previous: string[];
  change: ChannelChange | undefined;
  /** The pointer before the last promotion; absent after a rollback: that one left a model for a reason. */
  before?: Pointer;
  /** Whether the store has this pointer; else it is the shipped one. */
  isStored: boolean;
}

export interface StoredEvaluation {
  evaluation: Evaluation;
  /** Of the file. */
  sha256: string;
}

export interface ModelCatalogue {
  /** The pointer as it is now, or undefined when there is no such channel. Errors: 'model/damaged', and the store's. */
  readPointer(channel: string): Promise<Pointer | undefined>;
  /** Id of the model that the server is shipped with. Errors: 'model/missing'. */
  readShippedId(): Promise<string>;
  /** Read once: manifests do not change. Errors: those of the model loader. */
  readManifest(modelId: string): Promise<ModelManifest>;
  /** What was measured of it, as it is now: it may be measured again. Errors: 'model/damaged', 'evaluation/mismatch'. */
  readEvaluation(modelId: string): Promise<StoredEvaluation | undefined>;
  /** Whether the model was published, or shipped. */
  hasModel(modelId: string): Promise<boolean>;
  /** Where the model's folder is. */
  findSource(modelId: string): Promise<AssetSource>;
  /** Record `seq` of a channel's history. Errors: 'model/damaged'. */
  readChange(channel: string, seq: number): Promise<ChannelChange | undefined>;
  /** Ids of all models that the platform can list, the shipped one first. */
  listModelIds(): Promise<string[]>;
  /** Names of all channels that the platform can list, the default one first. */
  listChannels(): Promise<string[]>;
}

/** Manifests to keep: some 15 kB each. */
const KEPT_MANIFESTS = 64;
const CHANNEL_FILE = /^(.+)\.json$/;
const ERRORS: AssetErrors = {
  missing: { code: 'model/missing', advice: 'restore serve/models from git' },
  damaged: { code: 'model/damaged', advice: 'promote a model again, or restore serve/models from git' },
};

export interface CatalogueSources {
  /** The models that come with the server. */
  shipped: AssetSource;
  /** The operator's own; it may be empty. */
  store: AssetSource;
}

export function createModelCatalogue({ shipped, store }: CatalogueSources): ModelCatalogue {
  const manifests = new Map<string, ModelManifest>();
  /** Ids of models that were seen: published is published for ever. */
  const seen = new Set<string>();
  let shippedId: Promise<string> | undefined;

  async function readChannel(source: AssetSource, channel: string): Promise<Channel | undefined> {
    const path = channelPath(channel);
    const bytes = await source.read(path);
    return bytes === undefined ? undefined : parseChannel(parseJson(bytes, path, ERRORS), path);
  }

  async function findShippedId(): Promise<string> {
    const champion = (await readChannel(shipped, DEFAULT_CHANNEL))?.champion ?? undefined;
    if (champion !== undefined) return champion;
    throw new ProductError('model/missing', `the server is shipped with no model; ${ERRORS.missing.advice}`);
  }

  /** Read once; after a failure, again. */
  function readShippedId(): Promise<string> {
    shippedId ??= findShippedId().catch((error: unknown) => {
      shippedId = undefined;
      throw error;
    });
    return shippedId;
  }

  async function resolve(channel: string, pointer: Channel, isStored: boolean): Promise<Pointer> {
    const { champion, previous, seq, change } = pointer;
    const toId = async (modelId: string | null): Promise<string> => modelId ?? readShippedId();
    const resolved: Pointer = {
      channel,
      seq,
      champion: await toId(champion),
      previous: await Promise.all(previous.map(toId)),
      change,
      isStored,
    };
    const [replaced, ...earlier] = resolved.previous;
    if (change?.action !== 'promote' || replaced === undefined) return resolved;
    const before = { ...resolved, seq: seq - 1, champion: replaced, previous: earlier, change: undefined };
    return { ...resolved, before };
  }

  async function findSource(modelId: string): Promise<AssetSource> {
    // A damaged shipped pointer is no reason to refuse a model of the store.
    return modelId === (await readShippedId().catch(() => undefined)) ? shipped : store;
  }

  return {
    readShippedId,
    findSource,
    async readPointer(channel) {
      // Whoever asks for the pointer asks for the model next: meanwhile, for a fresh server.
      void readShippedId().catch(() => undefined);
      const stored = await readChannel(store, channel);
      if (stored !== undefined) return resolve(channel, stored, true);
      const own = await readChannel(shipped, channel);
      return own === undefined ? undefined : resolve(channel, own, false);
    },
    async readManifest(modelId) {
      const known = manifests.get(modelId);
      if (known !== undefined) return known;
      const manifest = await readManifest(await findSource(modelId), modelId);
      manifests.set(modelId, manifest);
      for (const oldest of manifests.keys()) if (manifests.size > KEPT_MANIFESTS) manifests.delete(oldest);
      return manifest;
    },
    async readEvaluation(modelId) {
      const path = modelFilePath(modelId, EVALUATION_FILE);
      const bytes = await (await findSource(modelId)).read(path);
      if (bytes === undefined) return undefined;
      return {
        evaluation: parseEvaluation(parseJson(bytes, path, ERRORS), modelId),
        sha256: await sha256Hex(bytes),
      };
    },
    async hasModel(modelId) {
      if (seen.has(modelId)) return true;
      const source = await findSource(modelId);
      if ((await source.read(modelFilePath(modelId, MANIFEST_FILE))) === undefined) return false;
      seen.add(modelId);
      return true;
    },
    async readChange(channel, seq) {
      const path = historyPath(channel, seq);
      const bytes = await store.read(path);
      return bytes === undefined ? undefined : parseChannelChange(parseJson(bytes, path, ERRORS), path);
    },
    async listModelIds() {
      const names = (await store.list?.('')) ?? [];
      return [...new Set([await readShippedId(), ...names.filter((name) => sha256Schema.safeParse(name).success)])];
    },
    async listChannels() {
      const files = (await store.list?.('channels')) ?? [];
      const names = files.flatMap((file) => CHANNEL_FILE.exec(file)?.[1] ?? []);
      const usable = names.filter((name) => channelNameSchema.safeParse(name).success);
      return [...new Set([DEFAULT_CHANNEL, ...usable])];
    },
  };
}
