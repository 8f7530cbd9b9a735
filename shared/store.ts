/**
 * The layout of a model store: immutable model folders named by their id, and one pointer per channel that says which of
 * them answers. The same in a local folder, in object storage, and in `serve/models/`, the shipped default.
 *
 *     <store>/<modelId>/manifest.json, model.json, shards, evaluation.json
 *     <store>/channels/<channel>.json
 *     <store>/history/<channel>/<seq>.json
 *
 * The pointer is the truth; it is changed only by compare-and-swap. Each change is one record of the history, which is
 * only added to: the record of change `seq` can be made again from the pointer that has this `seq`.
 */
import { z } from 'zod';
import { ProductError } from './errors.ts';
import { sha256Schema } from './sha256.ts';

export const DEFAULT_CHANNEL = 'resnet18';

/** How a channel may be called: a part of paths and addresses. */
export const channelNameSchema = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/, 'up to 64 small letters, digits and inner . _ - are expected');

/** A model of the store, or null for the model that the server is shipped with. */
const championSchema = sha256Schema.nullable();

/** One change of a pointer, and one record of the history. */
export const channelChangeSchema = z.strictObject({
  /** From 1. */
  seq: z.int().positive(),
  action: z.enum(['promote', 'rollback']),
  champion: championSchema,
  /** The champion before. */
  replaced: championSchema,
  /** ISO 8601, UTC, by the clock of the machine that made the change. */
  at: z.iso.datetime(),
});

export type ChannelChange = z.infer<typeof channelChangeSchema>;

export const channelSchema = z.strictObject({
  /** The model that answers. */
  champion: championSchema,
  /** Counts the changes of the pointer; the shipped pointer is 0. */
  seq: z.int().nonnegative(),
  /** Champions before this one, newest first: where a rollback goes. */
  previous: z.array(championSchema),
  /** The change that led here; absent when there was none. */
  change: channelChangeSchema.optional(),
});

export type Channel = z.infer<typeof channelSchema>;

export function channelPath(channel: string): string {
  return `channels/${channel}.json`;
}

/** The folder of a channel's records. */
export function historyFolder(channel: string): string {
  return `history/${channel}`;
}

/** The record of one change. */
export function historyPath(channel: string, seq: number): string {
  return `${historyFolder(channel)}/${seq}.json`;
}

export function modelFilePath(modelId: string, file: string): string {
  return `${modelId}/${file}`;
}

/** Read a channel pointer. Errors: `model/damaged`. */
export function parseChannel(value: unknown, path: string): Channel {
  return parseRecord(channelSchema, value, { path, what: 'channel pointer' });
}

/** Read a record of the history. Errors: `model/damaged`. */
export function parseChannelChange(value: unknown, path: string): ChannelChange {
  return parseRecord(channelChangeSchema, value, { path, what: 'record of a channel change' });
}

function parseRecord<T>(schema: z.ZodType<T>, value: unknown, { path, what }: { path: string; what: string }): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new ProductError(
    'model/damaged',
    `${path} is not a ${what}: ${z.prettifyError(parsed.error)}; restore the file`,
  );
}
