/** The names that a model answers to: its id, a beginning of it, an alias, a channel. */
import { ProductError } from '../../shared/errors.ts';
import { sha256Schema } from '../../shared/sha256.ts';
import { DEFAULT_CHANNEL } from '../../shared/store.ts';
import type { ModelCatalogue, Pointer } from './model-catalogue.ts';

/** What answers when nothing is asked for. */
export const CHAMPION_ALIAS = 'champion';
/** The champion before that one, where there was one. */
export const PREVIOUS_ALIAS = 'previous';
/** The model that the server comes with. */
export const SHIPPED_ALIAS = 'shipped';
export const ALIASES = [CHAMPION_ALIAS, PREVIOUS_ALIAS, SHIPPED_ALIAS];
/** A shorter beginning of an id is more likely a mistake than a name. */
export const SHORTEST_PREFIX = 8;

/** A model by its id, or a channel, whose champion is meant. */
export type NamedModel = { modelId: string } | { channel: string };

export function isModelId(name: string): boolean {
  return sha256Schema.safeParse(name).success;
}

export interface NameOptions {
  catalogue: ModelCatalogue;
  /** The pointer of the default channel. */
  readPointer: () => Promise<Pointer>;
}

/** Errors: 'model/unknown', with the names that there are. */
export async function findModel(name: string, { catalogue, readPointer }: NameOptions): Promise<NamedModel> {
  if (name === CHAMPION_ALIAS || name === DEFAULT_CHANNEL) return { channel: DEFAULT_CHANNEL };
  if (isModelId(name)) {
    if (await catalogue.hasModel(name)) return { modelId: name };
    throw await unknownModel(name, catalogue);
  }
  if (name === SHIPPED_ALIAS) return { modelId: await catalogue.readShippedId() };
  if (name === PREVIOUS_ALIAS) {
    const [modelId] = (await readPointer()).previous;
    if (modelId !== undefined) return { modelId };
    throw await unknownModel(name, catalogue);
  }
  const [modelId, ...others] = await listByPrefix(name, { catalogue, readPointer });
  if (modelId !== undefined && others.length === 0) return { modelId };
  if (others.length === 0 && (await catalogue.listChannels()).includes(name)) return { channel: name };
  throw await unknownModel(name, catalogue);
}

/** Listed models, and those of the pointer for platforms that cannot list. */
async function listByPrefix(name: string, { catalogue, readPointer }: NameOptions): Promise<string[]> {
  if (name.length < SHORTEST_PREFIX || !/^[0-9a-f]+$/.test(name)) return [];
  const { champion, previous } = await readPointer();
  const all = new Set([champion, ...previous, ...(await catalogue.listModelIds())]);
  return [...all].filter((modelId) => modelId.startsWith(name));
}

async function unknownModel(name: string, catalogue: ModelCatalogue): Promise<ProductError> {
  const models = await catalogue.listModelIds();
  const aliases = [...ALIASES, ...(await catalogue.listChannels())];
  return new ProductError(
    'model/unknown',
    `no model, or more than one, is called "${name}"; an id of /models, its first ${SHORTEST_PREFIX} or more digits, or one of ${aliases.join(', ')} is expected`,
    { details: { models, aliases } },
  );
}

/** What `modelId` is called besides its id, as far as this pointer says. */
export function listAliases(
  modelId: string,
  { pointer, shippedId }: { pointer: Pointer; shippedId: string },
): string[] {
  const { channel, champion, previous } = pointer;
  const isDefault = channel === DEFAULT_CHANNEL;
  return [
    ...(isDefault && modelId === champion ? [CHAMPION_ALIAS] : []),
    ...(modelId === champion ? [channel] : []),
    ...(isDefault && modelId === previous[0] ? [PREVIOUS_ALIAS] : []),
    ...(modelId === shippedId ? [SHIPPED_ALIAS] : []),
  ];
}
