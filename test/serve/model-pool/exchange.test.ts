/** The pool where memory is short, as in a Worker: a model takes the place of another one. */
import { memory } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { PIXELS, startPoolBenches, swap, type PoolBenches } from '../../support/pool-bench.ts';

let engine: PoolBenches['engine'];
let idOf: PoolBenches['idOf'];
let shardOf: PoolBenches['shardOf'];
let budgetOf: PoolBenches['budgetOf'];
let makeBench: PoolBenches['makeBench'];
beforeAll(async () => {
  ({ engine, idOf, shardOf, budgetOf, makeBench } = await startPoolBenches());
});

describe('where no two models fit', () => {
  test('a swap takes the memory of the old model: over 30 of them the engine does not grow', async () => {
    const bench = makeBench({ room: 1 });
    const tensors = memory().numTensors;
    await bench.ask();
    let grown = 0;
    for (let seq = 1; seq <= 30; seq++) {
      const next = 1 + (seq % 3);
      bench.point(next, seq);
      expect(await swap(bench)).toBe(idOf(next));
      await bench.settle();
      expect(memory().numTensors).toBe(tensors + 1);
      if (seq === 1) grown = engine.backend.engine.memory.wasmBytes;
    }
    expect(engine.backend.engine.memory.wasmBytes).toBe(grown);
    expect(bench.logged).toEqual([]);
  });

  test('the old model answers until the files of the new one are read once, then requests wait for the new one', async () => {
    const bench = makeBench({ room: 1 });
    await bench.ask();
    const check = bench.hold(1);
    bench.point(1, 1);
    expect(await bench.ask()).toBe(idOf(0));
    await expect.poll(() => bench.reads.includes(shardOf(1))).toBe(true);
    expect(await bench.ask()).toBe(idOf(0));
    const load = bench.hold(1);
    check();
    await expect.poll(() => bench.reads.filter((path) => path === shardOf(1)).length).toBe(2);
    const waiting = Promise.all([bench.take(), bench.ask(), bench.ask()]);
    load();
    const [first, ...others] = await waiting;
    expect([first.reference.id, first.reference.seq, ...others]).toEqual([idOf(1), 1, idOf(1), idOf(1)]);
    first.release();
    // Nobody brought the old one back.
    expect(bench.reads.filter((path) => path === shardOf(1))).toHaveLength(2);
  });

  test('a swap waits for the requests in flight, and these finish with the old model', async () => {
    const bench = makeBench({ room: 1 });
    const old = await bench.take();
    const expected = old.classifier.classify(PIXELS);
    bench.point(1, 1);
    await bench.ask();
    await expect.poll(() => bench.reads.includes(shardOf(1))).toBe(true);
    const next = bench.ask();
    expect(old.classifier.classify(PIXELS)).toEqual(expected);
    old.release();
    expect(await next).toBe(idOf(1));
  });

  test('a swap is put off while a request keeps the old model, which goes on answering', async () => {
    const bench = makeBench({ room: 1 });
    const old = await bench.take();
    bench.point(1, 1);
    expect(await bench.ask()).toBe(idOf(0));
    await bench.settle();
    expect(await bench.ask()).toBe(idOf(0));
    expect(bench.logged).toMatchObject([
      { code: 'server/not-ready', message: expect.stringContaining('still in use') },
    ]);
    old.release();
    bench.point(1, 2);
    expect(await swap(bench)).toBe(idOf(1));
  });

  test('the old model is loaded again when the new one cannot be, and goes on answering', async () => {
    const bench = makeBench({ room: 1 });
    const tensors = memory().numTensors;
    await bench.ask();
    const { weightBytes } = engine.backend.engine.memory;
    bench.spoil(1);
    bench.point(1, 1);
    expect(await swap(bench)).toBe(idOf(0));
    expect(bench.reads.filter((path) => path === shardOf(1))).toHaveLength(2);
    expect(bench.logged).toMatchObject([{ code: 'model/damaged' }]);
    expect(memory().numTensors).toBe(tensors + 1);
    expect(engine.backend.engine.memory.weightBytes).toBe(weightBytes);
    bench.point(2, 2);
    expect(await swap(bench)).toBe(idOf(2));
  });

  test('a model that is asked for by name takes the place of the champion, once in a while, and gives it back', async () => {
    const bench = makeBench({ room: 1 });
    vi.useFakeTimers({ toFake: ['Date'] });
    onTestFinished(() => void vi.useRealTimers());
    await bench.ask();
    expect(await bench.ask({ model: idOf(1) })).toBe(idOf(1));
    expect(await bench.ask({ model: idOf(1) })).toBe(idOf(1));
    expect(bench.reads.filter((path) => path === shardOf(1))).toHaveLength(2);
    expect(await bench.ask()).toBe(idOf(0));
    vi.setSystemTime(Date.now() + 4000);
    await expect(bench.ask({ model: idOf(2) })).rejects.toMatchObject({
      code: 'server/not-ready',
      message: expect.stringContaining('try again in 6 s'),
      details: { retryAfterSeconds: 6 },
    });
    expect(await bench.ask()).toBe(idOf(0));
    vi.setSystemTime(Date.now() + 6000);
    expect(await bench.ask({ model: idOf(2) })).toBe(idOf(2));
    expect(await bench.ask()).toBe(idOf(0));
  });

  test('requests for two models that meet in a fresh server are both answered, one load after the other', async () => {
    for (const [held, first, second] of [
      [0, undefined, 1],
      [1, 1, undefined],
    ] as const) {
      const bench = makeBench({ room: 1 });
      const choose = (index?: number): { model?: string } => (index === undefined ? {} : { model: idOf(index) });
      const release = bench.hold(held);
      vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'] });
      onTestFinished(() => void vi.useRealTimers());
      const early = bench.ask(choose(first));
      await vi.waitFor(() => expect(bench.waits).toContain(shardOf(held)));
      const late = bench.ask(choose(second));
      const others = [bench.ask(choose(first)), bench.ask(choose(second))];
      // Longer than requests that use a model are waited for.
      await vi.advanceTimersByTimeAsync(5000);
      release();
      vi.useRealTimers();
      expect(await Promise.all([early, late, ...others])).toEqual(
        [first, second, first, second].map((index) => idOf(index ?? 0)),
      );
      expect(bench.logged).toEqual([]);
    }
  });

  test('a model that fits under no circumstances is refused with its numbers', async () => {
    const bench = makeBench({ room: 0 });
    await expect(bench.ask()).rejects.toMatchObject({
      cause: { code: 'model/too-large', details: { neededBytes: budgetOf(1), budgetBytes: 0 } },
    });
  });
});
