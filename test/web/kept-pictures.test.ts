import { describe, expect, it } from 'vitest';
import { createKeptPictures, MOST_KEPT } from '../../web/kept-pictures.ts';

/** What a browser's session storage does, with a room of `most` characters. */
function createStorage(most = Number.POSITIVE_INFINITY): () => Pick<Storage, 'getItem' | 'setItem'> {
  const texts = new Map<string, string>();
  const storage = {
    getItem: (key: string) => texts.get(key) ?? null,
    setItem: (key: string, text: string) => {
      if (text.length > most) throw new DOMException('full', 'QuotaExceededError');
      texts.set(key, text);
    },
  };
  return () => storage;
}

const pictureOf = (index: number): { token: string; fileName: string } => ({
  token: `token-${index}`,
  fileName: `${index}.png`,
});

describe('the last pictures of a tab', () => {
  it('are there again after a reload, newest first, without their files', () => {
    const storage = createStorage();
    const kept = createKeptPictures(storage);
    kept.keep({ ...pictureOf(1), sent: { body: new Blob(['bytes']) } });
    kept.keep(pictureOf(2));
    expect(kept.find('token-1')?.sent?.body.size).toBe(5);
    expect(createKeptPictures(storage).list()).toEqual([pictureOf(2), pictureOf(1)]);
  });

  it(`are at most ${MOST_KEPT}: the oldest goes`, () => {
    const storage = createStorage();
    const kept = createKeptPictures(storage);
    for (let index = 0; index <= MOST_KEPT; index++) kept.keep(pictureOf(index));
    expect(kept.list()).toHaveLength(MOST_KEPT);
    expect(kept.find('token-0')).toBeUndefined();
    expect(createKeptPictures(storage).list()[0]).toEqual(pictureOf(MOST_KEPT));
  });

  it('hold each picture once, where it was', () => {
    const kept = createKeptPictures(createStorage());
    for (const index of [1, 2, 1]) kept.keep(pictureOf(index));
    expect(kept.list()).toEqual([pictureOf(2), pictureOf(1)]);
  });

  it('leave nothing behind when they are forgotten', () => {
    const storage = createStorage();
    const kept = createKeptPictures(storage);
    kept.keep(pictureOf(1));
    kept.forgetAll();
    expect([kept.list(), createKeptPictures(storage).list()]).toEqual([[], []]);
  });

  it('live as long as the page where storage is full or forbidden', () => {
    const full = createKeptPictures(createStorage(3));
    full.keep(pictureOf(1));
    expect(full.list()).toEqual([pictureOf(1)]);
    const forbidden = createKeptPictures(() => {
      throw new DOMException('no site data', 'SecurityError');
    });
    forbidden.keep(pictureOf(1));
    expect(forbidden.list()).toEqual([pictureOf(1)]);
  });

  it.each(['no JSON', '{}', '[{"token":1}]'])('begin empty where the storage holds %j', (text) => {
    const kept = createKeptPictures(() => ({ getItem: () => text, setItem: () => undefined }));
    expect(kept.list()).toEqual([]);
  });
});
