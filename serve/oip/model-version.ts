/**
 * Names of the protocol: a model is a channel, a version of it is the number of a change of the channel's pointer (0: what
 * answered before the first one), so a version never means another model later. Also `champion`, `previous`, `shipped` and
 * ids of published models are versions; they are not listed.
 */
import type { Context } from 'hono';
import { ProductError } from '../../shared/errors.ts';
import { LISTED_EVENTS, readChampion, readHistory } from '../model-pool/model-history.ts';
import type { ModelCatalogue, Pointer } from '../model-pool/model-catalogue.ts';
import { CHAMPION_ALIAS, PREVIOUS_ALIAS, SHIPPED_ALIAS } from '../model-pool/model-names.ts';
import type { TakenModel } from '../model-pool/model-pool.ts';
import { takeModel, type Services } from '../services.ts';

export interface VersionName {
  /** A channel. */
  name: string;
  /** Absent: the champion. */
  version: string | undefined;
}

export interface FoundVersion {
  modelId: string;
  /** A name of this version that stays. */
  version: string;
}

const NUMBER = /^(?:0|[1-9]\d{0,14})$/;
/** Whole ids, and beginnings that are long enough; digits alone are a number. */
const ID = /^[0-9a-f]{8,64}$/;

/** The model with its version, for one request. Errors: 'model/unknown', 'server/not-ready'. */
export async function takeVersion(
  services: Services,
  context: Context,
  { name, version }: VersionName,
): Promise<{ model: TakenModel; version: string }> {
  if (version === undefined || version === CHAMPION_ALIAS) {
    const model = await named(takeModel(services, context, { channel: name }), name);
    return { model, version: String(model.reference.seq) };
  }
  const found = await findVersion(services, context, { name, version });
  return { model: await takeModel(services, context, { model: found.modelId }), version: found.version };
}

/** The same without loading it, and the channel's pointer. Errors: the same. */
export async function findVersion(
  services: Services,
  context: Context,
  { name, version = CHAMPION_ALIAS }: VersionName,
): Promise<FoundVersion & { pointer: Pointer }> {
  const { catalogue } = services.models;
  const { pointer } = await named(
    services.models.find({ channel: name }, (work) => services.keepAlive(context, work)),
    name,
  );
  if (pointer === undefined) throw new Error('internal: a channel without a pointer');
  if (version === CHAMPION_ALIAS) return { modelId: pointer.champion, version: String(pointer.seq), pointer };
  const modelId = await resolve(version, { services, context, pointer });
  if (modelId === undefined || !(await catalogue.hasModel(modelId))) {
    const versions = (await listVersions(catalogue, pointer)).map((each) => each.version);
    throw new ProductError(
      'model/unknown',
      `model "${name}" has no version "${version}"; its versions are ${versions.join(', ')}; ${CHAMPION_ALIAS}, ${PREVIOUS_ALIAS}, ${SHIPPED_ALIAS} or the id of a published model will do too`,
      { details: { versions } },
    );
  }
  return { modelId, version: NUMBER.test(version) ? version : modelId, pointer };
}

/** The numbered versions whose models are still there, newest first, as far back as histories are read. */
export async function listVersions(catalogue: ModelCatalogue, pointer: Pointer): Promise<FoundVersion[]> {
  const events = await readHistory(catalogue, pointer);
  const isThere = await Promise.all(events.map(({ champion }) => catalogue.hasModel(champion)));
  return events
    .filter((_, index) => isThere[index] === true)
    .map(({ seq, champion }) => ({ modelId: champion, version: String(seq) }));
}

async function resolve(
  version: string,
  { services, context, pointer }: { services: Services; context: Context; pointer: Pointer },
): Promise<string | undefined> {
  const { catalogue } = services.models;
  if (NUMBER.test(version)) return readChampion(catalogue, pointer, Number(version));
  if (version === PREVIOUS_ALIAS) return pointer.previous[0];
  if (version === SHIPPED_ALIAS) return catalogue.readShippedId();
  if (!ID.test(version)) return undefined;
  try {
    const keepAlive = (work: Promise<unknown>): void => services.keepAlive(context, work);
    return (await services.models.find({ model: version }, keepAlive)).modelId;
  } catch (error) {
    if (error instanceof ProductError && error.code === 'model/unknown') return undefined;
    throw error;
  }
}

/** A channel that is not there, in the protocol's words. */
async function named<Result>(work: Promise<Result>, name: string): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof ProductError) || error.code !== 'channel/unknown') throw error;
    const { channels } = error.details;
    const known = Array.isArray(channels) ? channels.join(', ') : '';
    throw new ProductError('model/unknown', `there is no model "${name}"; the models are ${known}`, { cause: error });
  }
}

export const VERSIONS_NOTE = `A version is the number of a change of the channel (see /models/history, 0 before the first; metadata lists the last ${LISTED_EVENTS}), ${CHAMPION_ALIAS}, ${PREVIOUS_ALIAS}, ${SHIPPED_ALIAS}, or the id of a published model.`;
