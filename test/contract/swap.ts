/**
 * What a running server does when its store changes, as one suite for every platform: the store is written from outside,
 * as a release does it, and nothing but requests and answers is looked at.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { oipInferenceResponseSchema, oipModelSchema } from '../../shared/oip-api.ts';
import { classificationSchema, modelHistorySchema, modelListSchema } from '../../shared/api.ts';
import { channelPath, DEFAULT_CHANNEL, historyPath, modelFilePath, type Channel } from '../../shared/store.ts';
import { readTinyFiles, tinyArchitecture, type ModelFiles } from '../support/tiny-model.ts';
import { drawPicture, readAnswer, readProblem, type Send } from './api-client.ts';

export interface SwapPlatform {
  send: Send;
  /** Write a file of the store. */
  put: (path: string, bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
  /** Everything that the server told its operator so far. */
  readLog: () => string;
}

export function describeSwap(name: string, open: () => SwapPlatform): void {
  describe(`a store that changes under a server on ${name}`, () => {
    let models: ModelFiles[];
    let picture: Uint8Array<ArrayBuffer>;
    let shippedId: string;
    let seq = 0;

    beforeAll(async () => {
      const architecture = tinyArchitecture({ classes: 10 });
      models = await Promise.all([1, 2, 3].map((seed) => readTinyFiles({ architecture, seed, name: `tiny.${seed}` })));
      picture = await drawPicture({ width: 20, height: 20 });
    });

    const modelAt = (index: number): ModelFiles => models[index] ?? expect.fail('no such model');

    async function publish({ modelId, files }: ModelFiles): Promise<void> {
      for (const [file, bytes] of files) await open().put(modelFilePath(modelId, file), bytes);
    }

    /** The next change of a pointer, as the store's contract describes it. */
    async function point(champion: string | null, previous: (string | null)[]): Promise<void> {
      seq++;
      const at = `2026-11-21T12:00:${String(seq % 60).padStart(2, '0')}Z`;
      const change = { seq, action: 'promote' as const, champion, replaced: previous[0] ?? null, at };
      await writePointer(DEFAULT_CHANNEL, { champion, seq, previous, change });
      await open().put(historyPath(DEFAULT_CHANNEL, seq), toJson(change));
    }

    async function writePointer(channel: string, pointer: Channel): Promise<void> {
      await open().put(channelPath(channel), toJson(pointer));
    }

    async function ask(query = '') {
      const response = await open().send(`/classify${query}`, { method: 'POST', body: picture });
      const { model, predictions } = await readAnswer(response, classificationSchema);
      expect(response.headers.get('x-model-id')).toBe(model.id);
      expect(response.headers.get('x-model-seq')).toBe(model.seq === null ? null : String(model.seq));
      return { model, predictions };
    }

    /** Ask until the server has followed the pointer; it looks when it is asked. */
    async function askUntil(wanted: number) {
      await expect.poll(async () => (await ask()).model.seq, { timeout: 20_000, interval: 20 }).toBe(wanted);
      return ask();
    }

    test('answers with the shipped model while the store is empty', async () => {
      const { model } = await ask();
      expect(model).toMatchObject({ channel: 'resnet18', seq: 0 });
      shippedId = model.id;
    });

    test('follows the pointer to a new model, and keeps the old one within reach', async () => {
      const { modelId } = modelAt(0);
      await publish(modelAt(0));
      await publish(modelAt(1));
      await point(modelId, [null]);
      const { model, predictions } = await askUntil(1);
      expect(model).toEqual({ id: modelId, name: 'tiny.1', channel: 'resnet18', seq: 1, mode: 'fast' });
      expect((await ask(`?model=${modelId}`)).predictions).toEqual(predictions);
      const shipped = await ask('?model=shipped');
      expect(shipped.model).toMatchObject({ id: shippedId, channel: null, seq: null });
      expect((await ask('?model=previous')).predictions).toEqual(shipped.predictions);
      expect(shipped.predictions).not.toEqual(predictions);
    });

    test('answers with a model that was published and never promoted, by its id or the beginning of it', async () => {
      const { modelId } = modelAt(1);
      const { model, predictions } = await ask(`?model=${modelId}`);
      expect(model.id).toBe(modelId);
      expect((await ask(`?model=${modelId.slice(0, 8)}`)).predictions).toEqual(predictions);
      expect((await ask()).model.id).toBe(modelAt(0).modelId);
    });

    test('lists champion, previous and history', async () => {
      await point(modelAt(1).modelId, [modelAt(0).modelId, null]);
      await askUntil(2);
      const { send } = open();
      const { models: listed } = await readAnswer(await send('/models'), modelListSchema);
      expect(listed.map(({ id, aliases }) => [id, aliases])).toEqual([
        [modelAt(1).modelId, ['champion', 'resnet18']],
        [modelAt(0).modelId, ['previous']],
        [shippedId, ['shipped']],
      ]);
      const { events } = await readAnswer(await send('/models/history'), modelHistorySchema);
      expect(events).toEqual([
        { seq: 2, action: 'promote', champion: modelAt(1).modelId, at: '2026-11-21T12:00:02Z' },
        { seq: 1, action: 'promote', champion: modelAt(0).modelId, at: '2026-11-21T12:00:01Z' },
        { seq: 0, action: 'start', champion: shippedId, at: null },
      ]);
    });

    test('answers with every version that a pointer has named, by the number of its change', async () => {
      const { send } = open();
      const model = await readAnswer(await send('/v2/models/resnet18'), oipModelSchema);
      expect(model.versions).toEqual(['2', '1', '0']);
      const ids = { 2: modelAt(1).modelId, 1: modelAt(0).modelId, 0: shippedId, previous: modelAt(0).modelId };
      for (const [version, id] of Object.entries(ids)) {
        const path = `/v2/models/resnet18/versions/${version}`;
        const { inputs, properties } = await readAnswer(await send(path), oipModelSchema);
        expect(properties['model_id']).toBe(id);
        const [, height = 0, width = 0] = inputs[0]?.shape ?? [];
        const data = Array.from({ length: height * width * 3 }, (_, index) => (index * 29) % 256);
        const request = { inputs: [{ name: 'image', datatype: 'UINT8', shape: [1, height, width, 3], data }] };
        const infer = async (versionName: string) => {
          const init = { method: 'POST', body: JSON.stringify(request) };
          const response = await send(`/v2/models/resnet18/versions/${versionName}/infer`, init);
          return readAnswer(response, oipInferenceResponseSchema);
        };
        const answer = await infer(version);
        expect(answer.parameters).toEqual({ model_id: id });
        expect(answer.model_version).toBe(version === 'previous' ? id : version);
        expect((await infer(id)).outputs).toEqual(answer.outputs);
      }
      const missing = await send('/v2/models/resnet18/versions/3');
      expect(missing.status).toBe(404);
      expect(await missing.json()).toEqual({ error: expect.stringContaining('its versions are 2, 1, 0;') });
      expect((await ask()).model).toMatchObject({ id: modelAt(1).modelId, seq: 2 });
    });

    test('refuses a damaged model, tells that once, and takes the next good one', async () => {
      const { modelId, files } = modelAt(2);
      const damaged = new Map(files);
      const shard = files.get('group1-shard1of1.bin')?.slice() ?? expect.fail('no shard');
      shard[100] = (shard[100] ?? 0) ^ 1;
      damaged.set('group1-shard1of1.bin', shard);
      await publish({ modelId, files: damaged });
      await point(modelId, [modelAt(1).modelId, modelAt(0).modelId, null]);
      const countTold = (): number => open().readLog().split(`${modelId}/group1-shard1of1.bin has`).length - 1;
      await expect.poll(async () => ((await ask()).model.seq, countTold()), { timeout: 20_000, interval: 20 }).toBe(1);
      for (let round = 0; round < 10; round++) expect((await ask()).model).toMatchObject({ id: modelAt(1).modelId });
      expect(countTold()).toBe(1);

      // A pinned request is told that it cannot be had now, not that it is the caller's mistake.
      const pinned = await open().send(`/classify?model=${modelId}`, { method: 'POST', body: picture });
      expect((await readProblem(pinned)).code).toBe('server/not-ready');

      await point(modelAt(0).modelId, [modelAt(1).modelId]);
      expect((await askUntil(seq)).model.id).toBe(modelAt(0).modelId);
    });

    test('refuses a pointer that is no pointer, and goes on', async () => {
      await open().put(channelPath(DEFAULT_CHANNEL), new TextEncoder().encode('{"champion":'));
      for (let round = 0; round < 5; round++) expect((await ask()).model.id).toBe(modelAt(0).modelId);
      await point(null, [modelAt(0).modelId]);
      expect((await askUntil(seq)).model).toMatchObject({ id: shippedId, seq });
    });

    test('follows a channel of its own', async () => {
      await writePointer('canary', { champion: modelAt(1).modelId, seq: 7, previous: [] });
      const { model } = await ask('?channel=canary');
      expect(model).toEqual({ id: modelAt(1).modelId, name: 'tiny.2', channel: 'canary', seq: 7, mode: 'fast' });
      expect((await ask('?model=canary')).model).toEqual(model);
      expect((await ask()).model.channel).toBe('resnet18');
      await writePointer('canary', { champion: modelAt(0).modelId, seq: 8, previous: [] });
      await expect.poll(async () => (await ask('?channel=canary')).model.seq, { timeout: 20_000 }).toBe(8);
      expect((await ask('?channel=canary')).model.id).toBe(modelAt(0).modelId);
    });

    test('gives no error and no mixed answer while models are swapped under load', async () => {
      const expected = new Map<string, unknown>();
      for (const index of [0, 1]) {
        const { modelId } = modelAt(index);
        expected.set(modelId, (await ask(`?model=${modelId}`)).predictions);
      }
      await point(modelAt(0).modelId, []);
      await askUntil(seq);
      const swaps = { areOver: false };
      const answered = new Set<string>();
      const load = Array.from({ length: 4 }, async () => {
        while (!swaps.areOver) {
          const { model, predictions } = await ask();
          expect(predictions).toEqual(expected.get(model.id));
          answered.add(model.id);
        }
      });
      for (let round = 1; round <= 12; round++) {
        await point(modelAt(round % 2).modelId, []);
        const { model } = await askUntil(seq);
        expect(model.id).toBe(modelAt(round % 2).modelId);
      }
      swaps.areOver = true;
      await Promise.all(load);
      expect(answered.size).toBe(2);
    });
  });
}

function toJson(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(value));
}
