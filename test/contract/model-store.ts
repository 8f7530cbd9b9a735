/** What every model store promises, as tests; a file beside this one runs them over each kind of store. */
import { expect, it } from 'vitest';
import { changeChannel, readChannel, readHistory, type ChannelPlan } from '../../serve/store/channel-pointer.ts';
import type { ModelStore } from '../../serve/store/model-store.ts';
import { channelPath, historyPath } from '../../shared/store.ts';

const A = 'a'.repeat(64);
const B = 'b'.repeat(64);
const NAME = 'resnet18';
const NOW = new Date('2026-01-02T03:04:05.678Z');

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new TextEncoder().encode(text));
}

async function readText(store: ModelStore, path: string): Promise<string | undefined> {
  const bytes = await store.read(path);
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
}

async function change(store: ModelStore, plan: ChannelPlan) {
  return changeChannel({ store, name: NAME, from: await readChannel(store, NAME), plan, now: NOW });
}

function promotionOf(champion: string, previous: (string | null)[] = []): ChannelPlan {
  return { action: 'promote', champion, previous };
}

/** `open` gives an empty store; `reopen` another view of the store that was opened last, as another process has it. */
export function testModelStore(open: () => Promise<ModelStore>, reopen: () => Promise<ModelStore>): void {
  it('has nothing where nothing was written', async () => {
    const store = await open();
    expect(await store.read('a/b.bin')).toBeUndefined();
    expect(await store.readVersioned('a/b.bin')).toBeUndefined();
    expect(await store.measure('a/b.bin')).toBeUndefined();
    expect(await store.list('')).toEqual([]);
    expect(await store.list('a')).toEqual([]);
  });

  it('gives back the bytes of a file, all 256 of them, and its size', async () => {
    const store = await open();
    const bytes = Uint8Array.from({ length: 70_000 }, (_, index) => index % 256);
    expect(await store.create('a/b.bin', bytes)).toBe(true);
    expect(await store.read('a/b.bin')).toEqual(bytes);
    expect((await store.readVersioned('a/b.bin'))?.bytes).toEqual(bytes);
    expect(await store.measure('a/b.bin')).toBe(70_000);
    expect(await (await reopen()).read('a/b.bin')).toEqual(bytes);
  });

  it('gives each reader a buffer of its own', async () => {
    const store = await open();
    await store.create('a.bin', bytesOf('abc'));
    (await store.read('a.bin'))?.fill(0);
    expect(await readText(store, 'a.bin')).toBe('abc');
  });

  it('takes an identical file again, and refuses another one under the same path', async () => {
    const store = await open();
    expect(await store.create('a/b', bytesOf('one'))).toBe(true);
    expect(await store.create('a/b', bytesOf('one'))).toBe(false);
    await expect(store.create('a/b', bytesOf('two'))).rejects.toMatchObject({
      code: 'store/occupied',
      details: { path: 'a/b' },
    });
    expect(await readText(store, 'a/b')).toBe('one');
  });

  it('lets one of several creators of different files win', async () => {
    const stores = await openTwice(open, reopen);
    const texts = ['one', 'two', 'three', 'four'];
    const results = await Promise.allSettled(
      texts.map((text, index) => (stores[index % 2] ?? stores[0]).create('a/b', bytesOf(text))),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const winner = results.findIndex(({ status }) => status === 'fulfilled');
    expect(await readText(stores[0], 'a/b')).toBe(texts[winner]);
  });

  it('swaps a file only from the version that was read', async () => {
    const store = await open();
    expect(await store.swap('p.json', bytesOf('1'), 'never')).toBe(false);
    expect(await store.read('p.json')).toBeUndefined();
    expect(await store.swap('p.json', bytesOf('1'), undefined)).toBe(true);
    const first = await store.readVersioned('p.json');
    expect(await store.swap('p.json', bytesOf('x'), undefined)).toBe(false);
    expect(await store.swap('p.json', bytesOf('2'), first?.version)).toBe(true);
    expect(await store.swap('p.json', bytesOf('3'), first?.version)).toBe(false);
    expect(await readText(store, 'p.json')).toBe('2');
  });

  it('lets exactly one of eight swaps from the same version win, round after round', async () => {
    const stores = await openTwice(open, reopen);
    let version: string | undefined;
    for (let round = 0; round < 5; round++) {
      const won = await Promise.all(
        Array.from({ length: 8 }, (_, index) =>
          (stores[index % 2] ?? stores[0]).swap('p.json', bytesOf(`${round}.${index}`), version),
        ),
      );
      expect(won.filter(Boolean)).toHaveLength(1);
      const file = await stores[0].readVersioned('p.json');
      expect(new TextDecoder().decode(file?.bytes)).toBe(`${round}.${won.indexOf(true)}`);
      version = file?.version;
    }
  });

  it('lists the files and folders of a folder, and nothing below or beside', async () => {
    const store = await open();
    for (const path of ['top.json', 'h/r/1.json', 'h/r/2.json', 'h/rest/9.json', 'h/a&b.json']) {
      await store.create(path, bytesOf(path));
    }
    expect((await store.list('')).toSorted()).toEqual(['h', 'top.json']);
    expect((await store.list('h')).toSorted()).toEqual(['a&b.json', 'r', 'rest']);
    expect((await store.list('h/r')).toSorted()).toEqual(['1.json', '2.json']);
    expect(await store.list('top')).toEqual([]);
  });

  it('reads a channel without a pointer as the shipped model', async () => {
    const { channel, version } = await readChannel(await open(), NAME);
    expect(channel).toEqual({ champion: null, seq: 0, previous: [] });
    expect(version).toBeUndefined();
  });

  it('changes a pointer, with its change inside and its record beside', async () => {
    const store = await open();
    const first = await change(store, promotionOf(A, [null]));
    expect(first.change).toEqual({
      seq: 1,
      action: 'promote',
      champion: A,
      replaced: null,
      at: '2026-01-02T03:04:05.678Z',
    });
    await change(store, { action: 'rollback', champion: null, previous: [] });
    expect((await readChannel(store, NAME)).channel).toEqual({
      champion: null,
      seq: 2,
      previous: [],
      change: { seq: 2, action: 'rollback', champion: null, replaced: A, at: '2026-01-02T03:04:05.678Z' },
    });
    expect((await readHistory(store, NAME)).map(({ seq, champion }) => [seq, champion])).toEqual([
      [1, A],
      [2, null],
    ]);
  });

  it('tells the later of two changes from one pointer that the other was first', async () => {
    const store = await open();
    await change(store, promotionOf(A));
    const from = await readChannel(store, NAME);
    const other = { store: await reopen(), name: NAME, from, plan: promotionOf(B), now: NOW };
    await changeChannel(other);
    await expect(changeChannel({ ...other, plan: promotionOf(A) })).rejects.toMatchObject({
      code: 'store/changed',
      details: { champion: B, seq: 2 },
    });
    expect((await readHistory(store, NAME)).map(({ champion }) => champion)).toEqual([A, B]);
  });

  it('writes the record that a crash after the swap left out, before the next change', async () => {
    const store = await open();
    const lost = { seq: 1, action: 'promote', champion: A, replaced: null, at: NOW.toISOString() } as const;
    const pointer = JSON.stringify({ champion: A, seq: 1, previous: [null], change: lost });
    await store.swap(channelPath(NAME), bytesOf(pointer), undefined);
    expect(await readHistory(store, NAME)).toEqual([lost]);
    expect(await store.read(historyPath(NAME, 1))).toBeUndefined();
    await change(store, promotionOf(B, [A, null]));
    expect(JSON.parse((await readText(store, historyPath(NAME, 1))) ?? '')).toEqual(lost);
    expect((await readHistory(store, NAME)).map(({ seq }) => seq)).toEqual([1, 2]);
  });

  it('refuses to give a number of the history away again when the pointer is an old copy', async () => {
    const store = await open();
    await change(store, promotionOf(A));
    const old = await store.read(channelPath(NAME));
    await change(store, promotionOf(B));
    const { version } = await readChannel(store, NAME);
    await store.swap(channelPath(NAME), old ?? bytesOf(''), version);
    await expect(change(store, promotionOf(B))).rejects.toMatchObject({ code: 'store/occupied' });
    expect((await readChannel(store, NAME)).channel.champion).toBe(A);
  });

  it.each(['not json', '{"champion": "x", "seq": 0, "previous": []}', ''])(
    'refuses the damaged pointer %j by its path, and leaves it alone',
    async (text) => {
      const store = await open();
      await store.swap(channelPath(NAME), bytesOf(text), undefined);
      await expect(change(store, promotionOf(A))).rejects.toMatchObject({
        code: 'model/damaged',
        message: expect.stringContaining('channels/resnet18.json'),
      });
      expect(await readText(store, channelPath(NAME))).toBe(text);
    },
  );

  it('lists the history past the tenth change in its order, and does not look at foreign files', async () => {
    const store = await open();
    for (let seq = 1; seq <= 11; seq++) await change(store, promotionOf(seq % 2 === 0 ? A : B));
    await store.create('history/resnet18/notes.txt', bytesOf('by hand'));
    expect((await readHistory(store, NAME)).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  });

  it('keeps channels apart', async () => {
    const store = await open();
    await change(store, promotionOf(A));
    expect((await readChannel(store, 'candidate')).channel.champion).toBeNull();
    expect(await readHistory(store, 'candidate')).toEqual([]);
  });
}

async function openTwice(
  open: () => Promise<ModelStore>,
  reopen: () => Promise<ModelStore>,
): Promise<[ModelStore, ModelStore]> {
  return [await open(), await reopen()];
}
