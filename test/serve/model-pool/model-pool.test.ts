/** The pool with real models in memory: what is loaded, kept, freed and looked at when. */
import { memory } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { channelPath, DEFAULT_CHANNEL } from '../../../shared/store.ts';
import { PIXELS, startPoolBenches, swap, type PoolBenches } from '../../support/pool-bench.ts';

let idOf: PoolBenches['idOf'];
let shardOf: PoolBenches['shardOf'];
let makeBench: PoolBenches['makeBench'];
beforeAll(async () => {
  ({ idOf, shardOf, makeBench } = await startPoolBenches());
});

describe('a swap', () => {
  test('leaves as many tensors as one model has, over 50 swaps', async () => {
    const bench = makeBench();
    await bench.ask();
    const before = memory().numTensors;
    for (let seq = 1; seq <= 50; seq++) {
      const next = 1 + (seq % 3);
      bench.point(next, seq);
      expect(await swap(bench)).toBe(idOf(next));
      await bench.settle();
      expect(memory().numTensors).toBe(before);
    }
    expect(bench.logged).toEqual([]);
  });

  test('keeps the old model as long as a request has it, and then frees it', async () => {
    const bench = makeBench();
    const empty = memory().numTensors;
    const old = await bench.take();
    const expected = old.classifier.classify(PIXELS);
    const before = memory().numTensors;
    bench.point(1, 1);
    expect(await swap(bench)).toBe(idOf(1));
    expect(old.classifier.classify(PIXELS)).toEqual(expected);
    expect(old.reference).toMatchObject({ id: idOf(0), seq: 0 });
    expect(memory().numTensors - before).toBe(before - empty);
    old.release();
    old.release();
    expect(memory().numTensors).toBe(before);
  });

  test('is not waited for', async () => {
    const bench = makeBench();
    await bench.ask();
    bench.point(1, 1);
    // The request that sees the new pointer is answered by the old model.
    expect(await bench.ask()).toBe(idOf(0));
  });

  test('loads nothing when only the number of the pointer changed', async () => {
    const bench = makeBench();
    bench.point(1, 1);
    await bench.ask();
    bench.point(1, 2);
    await bench.ask();
    await bench.settle();
    bench.reads.length = 0;
    const model = await bench.take();
    model.release();
    expect(model.reference.seq).toBe(2);
    expect(bench.reads).toEqual([channelPath(DEFAULT_CHANNEL)]);
  });
});

describe('the pointer', () => {
  test('is read once for all requests within its time', async () => {
    const bench = makeBench({ pointerTtlMs: 3_600_000 });
    bench.point(1, 1);
    await bench.ask();
    bench.point(2, 2);
    for (let round = 0; round < 20; round++) expect(await bench.ask()).toBe(idOf(1));
    expect(bench.reads.filter((path) => path === channelPath(DEFAULT_CHANNEL))).toHaveLength(1);
  });

  test('of a damaged model is refused and told once, and its model is not loaded again and again', async () => {
    const bench = makeBench();
    await bench.ask();
    bench.damage(1);
    bench.point(1, 1);
    for (let round = 0; round < 10; round++) expect(await swap(bench)).toBe(idOf(0));
    expect(bench.logged).toMatchObject([{ code: 'model/damaged' }]);
    expect(bench.reads.filter((path) => path.includes('shard'))).toHaveLength(1);
    expect(bench.pool.refused).toMatchObject({ champion: idOf(1), seq: 1 });
    bench.point(2, 2);
    expect(await swap(bench)).toBe(idOf(2));
    expect(bench.pool.refused).toBeUndefined();
    bench.point(1, 3);
    expect(await swap(bench)).toBe(idOf(2));
    expect(bench.logged).toHaveLength(2);
  });

  test('that was read before the one in force does not come back when its model is loaded late', async () => {
    const bench = makeBench();
    await bench.ask();
    vi.useFakeTimers({ toFake: ['Date'] });
    onTestFinished(() => void vi.useRealTimers());
    const goOn = bench.hold(1);
    bench.point(1, 1);
    await bench.ask();
    await expect.poll(() => bench.reads.includes(shardOf(1))).toBe(true);
    // The look is overdue and given up; the next one finds a newer pointer.
    vi.setSystemTime(Date.now() + 61_000);
    bench.point(2, 2);
    await bench.ask();
    await expect.poll(() => bench.ask()).toBe(idOf(2));
    // The store is not looked at any more, so that only the late load can change what answers.
    bench.point(2, 2);
    goOn();
    await bench.settle();
    expect(bench.pool).toMatchObject({ isReady: true });
    const model = await bench.take();
    model.release();
    expect(model.reference).toMatchObject({ id: idOf(2), seq: 2 });
  });

  test('that is gone changes nothing, and one to no model means the shipped one', async () => {
    const bench = makeBench();
    bench.point(1, 1);
    expect(await bench.ask()).toBe(idOf(1));
    bench.removePointer();
    for (let round = 0; round < 3; round++) expect(await swap(bench)).toBe(idOf(1));
    expect(bench.logged).toMatchObject([{ code: 'model/missing', message: expect.stringContaining('is gone') }]);
    bench.point(null, 2);
    expect(await swap(bench)).toBe(idOf(0));
  });

  test('that is damaged from the start leaves the server without a model, until it is mended', async () => {
    const bench = makeBench();
    bench.damage(1);
    bench.point(1, 1);
    await expect(bench.ask()).rejects.toMatchObject({
      code: 'server/not-ready',
      cause: { code: 'model/damaged' },
    });
    expect(bench.pool.isReady).toBe(false);
    bench.point(2, 2);
    expect(await bench.ask()).toBe(idOf(2));
    expect(bench.pool.isReady).toBe(true);
  });
});

describe('a server that starts with a damaged champion', () => {
  test.each([1, null])('answers with the one that it was promoted over (%s)', async (replaced) => {
    const bench = makeBench();
    bench.damage(2);
    bench.change('promote', { index: 2, seq: 5, replaced });
    const model = await bench.take();
    model.release();
    expect(model.reference).toMatchObject({ id: idOf(replaced ?? 0), channel: DEFAULT_CHANNEL, seq: 4 });
    for (let round = 0; round < 5; round++) expect(await swap(bench)).toBe(idOf(replaced ?? 0));
    expect(bench.logged).toMatchObject([{ code: 'model/damaged' }]);
    bench.point(3, 6);
    expect(await swap(bench)).toBe(idOf(3));
  });

  test('does not take a model that was rolled back, nor one that is damaged, too', async () => {
    for (const action of ['rollback', 'promote'] as const) {
      const bench = makeBench();
      bench.damage(2);
      if (action === 'promote') bench.damage(1);
      bench.change(action, { index: 2, seq: 5, replaced: 1 });
      await expect(bench.ask()).rejects.toMatchObject({
        cause: { code: 'model/damaged', message: expect.stringContaining(idOf(2)) },
      });
    }
  });
});

describe('models beside the champion', () => {
  test('are as many as there is room for; the one that was used longest ago goes', async () => {
    const bench = makeBench({ room: 3 });
    const loads = (index: number): number => bench.reads.filter((path) => path === shardOf(index)).length;
    await bench.ask();
    for (const index of [1, 2, 1, 3]) expect(await bench.ask({ model: idOf(index) })).toBe(idOf(index));
    expect([loads(1), loads(2), loads(3)]).toEqual([1, 1, 1]);
    await bench.ask({ model: idOf(1) });
    expect(loads(1)).toBe(1);
    await bench.ask({ model: idOf(2) });
    expect(loads(2)).toBe(2);
  });

  test('in use are not freed: who asks for one too many is told to come back', async () => {
    const bench = makeBench({ room: 2 });
    await bench.ask();
    const first = await bench.take({ model: idOf(1) });
    const refusal = await bench.ask({ model: idOf(2) }).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 'server/not-ready', message: expect.stringContaining('leave no room') });
    expect(await bench.ask()).toBe(idOf(0));
    first.release();
    expect(await bench.ask({ model: idOf(2) })).toBe(idOf(2));
    // Idle, it makes room for a new champion.
    bench.point(3, 1);
    expect(await swap(bench)).toBe(idOf(3));
  });

  test('have less room than a new champion, and none of them is freed for one that does not fit even then', async () => {
    const bench = makeBench({ room: 5, guestRoom: 2 });
    const loads = (index: number): number => bench.reads.filter((path) => path === shardOf(index)).length;
    const old = await bench.take();
    for (const index of [1, 2, 1]) expect(await bench.ask({ model: idOf(index) })).toBe(idOf(index));
    expect([loads(1), loads(2)]).toEqual([2, 1]);
    const guest = await bench.take({ model: idOf(1) });
    bench.point(3, 1);
    expect(await swap(bench)).toBe(idOf(3));
    guest.release();
    // The old champion is in use, and the new one is kept.
    await expect(bench.ask({ model: idOf(2) })).rejects.toMatchObject({ code: 'server/not-ready' });
    expect(await bench.ask({ model: idOf(1) })).toBe(idOf(1));
    expect(loads(1)).toBe(2);
    old.release();
    expect(await bench.ask({ model: idOf(2) })).toBe(idOf(2));
    expect(bench.logged).toEqual([]);
  });

  test('are loaded once for all who ask meanwhile', async () => {
    const bench = makeBench();
    const ids = await Promise.all(Array.from({ length: 8 }, () => bench.ask({ model: idOf(4) })));
    expect(new Set(ids)).toEqual(new Set([idOf(4)]));
    expect(bench.reads.filter((path) => path === shardOf(4))).toHaveLength(1);
  });

  test('follow the pointer of their channel', async () => {
    const bench = makeBench();
    bench.point(1, 1, 'canary');
    expect(await bench.ask({ channel: 'canary' })).toBe(idOf(1));
    expect(await bench.ask()).toBe(idOf(0));
    await bench.settle();
    bench.point(2, 2, 'canary');
    const old = await bench.take({ channel: 'canary' });
    await bench.settle();
    expect(await bench.ask({ channel: 'canary' })).toBe(idOf(2));
    expect(await bench.ask({ channel: 'canary' })).toBe(idOf(2));
    expect(bench.reads.filter((path) => path === shardOf(2))).toHaveLength(1);
    expect((await old.classifier.classify(PIXELS)).length).toBe(3);
    old.release();
    await expect(bench.ask({ channel: 'other' })).rejects.toMatchObject({ code: 'channel/unknown' });
  });
});
