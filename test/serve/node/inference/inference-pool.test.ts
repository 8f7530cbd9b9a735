/** The threads that run models: real ones, with tiny models. */
import { randomBytes } from 'node:crypto';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import {
  createClassifier,
  type ModelResult,
  type ModelRunner,
  type ModelTask,
} from '../../../../serve/inference/classifier.ts';
import { createInferencePool, type InferencePool } from '../../../../serve/node/inference/inference-pool.ts';
import type { MeasuredRun } from '../../../../serve/node/inference/inference-meter.ts';
import { readPoolSettings } from '../../../../serve/node/inference/pool-settings.ts';
import type { ThreadOrder } from '../../../../serve/node/inference/thread-message.ts';
import { startServer } from '../../../../serve/node/server.ts';
import { compileWasmModules, type WasmModules } from '../../../../serve/node/wasm-modules.ts';
import { ProductError } from '../../../../shared/errors.ts';
import { encodePng } from '../../../../shared/image/png-encode.ts';
import { makeSharedFolder } from '../../../support/temporary-folder.ts';
import { writeTinyStore } from '../../../support/tiny-model.ts';

type RunOrder = ThreadOrder & { kind: 'run' };

const PIXELS = Uint8Array.from({ length: 8 * 8 * 3 }, (_, index) => (index * 29) % 256);
const LATER = { isLater: true, spentMs: 0 };
const FIRST = { isLater: false, spentMs: 0 };

let modules: WasmModules;
const folders: string[] = [];
const ids: string[] = [];

beforeAll(async () => {
  modules = await compileWasmModules();
  for (const seed of [1, 2]) {
    const folder = await makeSharedFolder();
    folders.push(folder);
    ids.push((await writeTinyStore(folder, { seed })).modelId);
  }
});

interface Bench {
  pool: InferencePool;
  load: (index: number) => Promise<ModelRunner>;
  logged: unknown[];
}

function makePool(settings: { threads?: number; queueLimit?: number; timeoutMs?: number } = {}): Bench {
  const logged: unknown[] = [];
  const pool = createInferencePool({
    threads: 2,
    queueLimit: 1000,
    timeoutMs: 60_000,
    ...settings,
    thread: { ...modules, mode: 'fast' },
    reportError: (error) => logged.push(error),
  });
  onTestFinished(() => pool.close());
  return { pool, load: (index) => pool.load(folders[index] ?? '', ids[index] ?? ''), logged };
}

function taskOf(pixels: Uint8Array = PIXELS): ModelTask {
  return { input: { pixels }, layers: ['linear'], hasToken: false };
}

function logitsOf({ values }: ModelResult): Float32Array {
  const [logits] = values;
  if (logits === undefined) throw new Error('no values');
  return logits;
}

/** A picture that takes a thread some tenths of a second, or less with a shorter side. */
function drawLargePicture(side = 2000): Promise<Uint8Array<ArrayBuffer>> {
  return encodePng({ width: side, height: side, channels: 1, pixels: randomBytes(side * side) });
}

/** One of a few kilobytes, which takes long, too. */
function drawLargeEmptyPicture(): Promise<Uint8Array<ArrayBuffer>> {
  return encodePng({ width: 2048, height: 2048, channels: 3, pixels: new Uint8Array(2048 * 2048 * 3) });
}

describe('the threads that run models', () => {
  test('give each request its own answer, the same from every thread, and one for each model', async () => {
    const { load, pool, logged } = makePool();
    const [first, second] = [await load(0), await load(1)];
    expect(first.manifest.modelId).toBe(ids[0]);
    const pictures = Array.from({ length: 40 }, (_, index) => PIXELS.map((value) => (value + index * 7) % 256));
    const answer = async (runner: ModelRunner): Promise<Float32Array[]> =>
      (await Promise.all(pictures.map((each) => runner.run(taskOf(each), FIRST)))).map(logitsOf);
    const [one, two] = await Promise.all([answer(first), answer(second)]);
    expect(new Set(one.map(String)).size).toBe(40);
    expect(one).not.toEqual(two);
    expect(await answer(first)).toEqual(one);
    expect(pool.meter.read()).toMatchObject({ threads: 2, busyThreads: 0, waiting: 0, runs: 120, lostThreads: 0 });
    expect(logged).toEqual([]);
  });

  test('are told of by a meter: each run with its times', async () => {
    const { load, pool } = makePool({ threads: 1 });
    const runner = await load(0);
    const runs: MeasuredRun[] = [];
    const end = pool.meter.observe((run) => runs.push(run));
    const decoding: ModelTask = { input: { file: await drawLargePicture() }, layers: [], hasToken: false };
    await Promise.all([runner.run(decoding, FIRST), runner.run(taskOf(), FIRST)]);
    end();
    await runner.run(taskOf(), FIRST);
    expect(runs.map(({ hasLayers }) => hasLayers)).toEqual([false, true]);
    const [first, second] = runs;
    expect(first?.computeSeconds).toBeGreaterThan(0);
    // It waited for all of the other one.
    expect(second?.waitSeconds).toBeGreaterThan(first?.waitSeconds ?? Infinity);
  });

  test('refuse a request beyond the queue at once, and take later runs of those that were let in', async () => {
    const { load, pool } = makePool({ threads: 1, queueLimit: 3 });
    const runner = await load(0);
    const runs = Array.from({ length: 6 }, () => runner.run(taskOf(), FIRST));
    const later = runner.run(taskOf(), LATER);
    expect(pool.meter.read()).toMatchObject({ busyThreads: 1, waiting: 3, waitingLater: 1, refused: 2 });
    const outcomes = await Promise.allSettled(runs);
    expect(outcomes.map(({ status }) => status)).toEqual([...Array(4).fill('fulfilled'), 'rejected', 'rejected']);
    expect(outcomes[5]).toMatchObject({ reason: { code: 'server/busy', details: { queueLimit: 3 } } });
    expect(logitsOf(await later).length).toBe(3);
  });

  test('compute none of the runs that a caller begins at once when the first of them is refused', async () => {
    const { load, pool } = makePool({ threads: 1, queueLimit: 0 });
    const runner = await load(0);
    const busy = runner.run(taskOf(), FIRST);
    const own = createClassifier(runner).forCaller({ signal: new AbortController().signal });
    const outcomes = await Promise.allSettled([own.classify(PIXELS), own.classify(PIXELS), own.classify(PIXELS)]);
    for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: { code: 'server/busy' } });
    expect(pool.meter.read()).toMatchObject({ waiting: 0, waitingLater: 0, refused: 1, abandoned: 2 });
    await busy;
    await expect(own.classify(PIXELS)).rejects.toMatchObject({ code: 'server/busy' });
    expect(pool.meter.read().runs).toBe(1);
  });

  test('go on with the runs of a caller after one whose picture is damaged', async () => {
    const { load, pool } = makePool({ threads: 1 });
    const own = createClassifier(await load(0)).forCaller({ signal: new AbortController().signal });
    const [damaged, sound] = await Promise.allSettled([own.prepare(new Uint8Array(9)), own.classify(PIXELS)]);
    expect(damaged).toMatchObject({ reason: { code: 'image/unknown-type' } });
    expect(sound).toMatchObject({ status: 'fulfilled' });
    expect(pool.meter.read().abandoned).toBe(0);
  });

  test('do not let a request wait behind the later runs of another one', async () => {
    const { load } = makePool({ threads: 1 });
    const runner = await load(0);
    const order: string[] = [];
    const long = Array.from({ length: 30 }, () => runner.run(taskOf(), LATER).then(() => order.push('long')));
    await runner.run(taskOf(), FIRST);
    order.push('short');
    await Promise.all(long);
    // One was in work already.
    expect(order.indexOf('short')).toBeLessThanOrEqual(2);
    expect(order.length).toBe(31);
  });

  test('compute nothing for a caller that left while it waited', async () => {
    const { load, pool } = makePool({ threads: 1 });
    const runner = await load(0);
    const caller = new AbortController();
    const busy = runner.run(taskOf(), FIRST);
    const leaving = runner.run(taskOf(), { ...FIRST, signal: caller.signal });
    caller.abort();
    await expect(leaving).rejects.toMatchObject({ code: 'request/aborted' });
    await expect(runner.run(taskOf(), { ...FIRST, signal: caller.signal })).rejects.toMatchObject({
      code: 'request/aborted',
    });
    await busy;
    expect(pool.meter.read()).toMatchObject({ runs: 1, abandoned: 1, waiting: 0 });
  });

  test('are replaced when they die, which fails the one request and is told once', { timeout: 60_000 }, async () => {
    const { load, pool, logged } = makePool();
    const runner = await load(0);
    const expected = logitsOf(await runner.run(taskOf(), FIRST));
    // An error of ours, after which nobody knows what state a thread is in.
    const deadly = { ...taskOf(), layers: undefined } as unknown as ModelTask;
    const outcomes = await Promise.allSettled([
      runner.run(deadly, FIRST),
      ...Array.from({ length: 20 }, () => runner.run(taskOf(), FIRST)),
    ]);
    expect(outcomes[0]).toMatchObject({ status: 'rejected', reason: { code: 'server/lost' } });
    for (const outcome of outcomes.slice(1)) {
      if (outcome.status === 'rejected') throw outcome.reason;
      expect(logitsOf(outcome.value)).toEqual(expected);
    }
    expect(logged.map(String)).toEqual(['Error: a thread that runs models died; another takes its place']);
    expect(pool.meter.read().lostThreads).toBe(1);

    // All of them, one after the other: the new ones have the model, too.
    for (let death = 0; death < 3; death++) {
      await expect(runner.run(deadly, FIRST)).rejects.toMatchObject({ code: 'server/lost' });
      expect(logitsOf(await runner.run(taskOf(), FIRST))).toEqual(expected);
    }
  });

  test('are given their share of many requests that wait, a few at once, and single ones of few', async () => {
    const { load, pool } = makePool();
    const runner = await load(0);
    const post = vi.spyOn(Worker.prototype, 'postMessage');
    onTestFinished(() => post.mockRestore());
    const pictures = Array.from({ length: 41 }, (_, index) => PIXELS.map((value) => (value + index * 5) % 256));
    const together = await Promise.all(pictures.map((each) => runner.run(taskOf(each), FIRST)));
    const runsOfOrder = (): number[] =>
      post.mock.calls.flatMap(([order]) =>
        (order as ThreadOrder).kind === 'run' ? (order as RunOrder).runs.length : [],
      );
    const sizes = runsOfOrder();
    // More where the machine was so busy that a thread gave some back.
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeGreaterThanOrEqual(41);
    expect(pool.meter.read().runs).toBe(41);
    expect(Math.max(...sizes)).toBe(8);
    // The first one found a free thread, and the last ones were few.
    expect([sizes[0], sizes.at(-1)]).toEqual([1, 1]);
    post.mockClear();
    const alone: ModelResult[] = [];
    for (const each of pictures) alone.push(await runner.run(taskOf(each), FIRST));
    expect(runsOfOrder()).toEqual(pictures.map(() => 1));
    // The same bits, whoever ran beside it.
    expect(together.map(logitsOf)).toEqual(alone.map(logitsOf));
    expect(pool.meter.read().busyThreads).toBe(0);
  });

  test(
    'answer the others of several when one is refused, and when one is what they die of',
    { timeout: 60_000 },
    async () => {
      const { load, pool, logged } = makePool({ threads: 1 });
      const runner = await load(0);
      const expected = logitsOf(await runner.run(taskOf(), FIRST));
      const deadly = { ...taskOf(), layers: undefined } as unknown as ModelTask;
      const damaged: ModelTask = { input: { file: Uint8Array.of(1, 2, 3) }, layers: ['linear'], hasToken: false };
      const outcomes = await Promise.allSettled(
        [taskOf(), taskOf(), deadly, damaged, taskOf(), taskOf()].map((task) => runner.run(task, FIRST)),
      );
      const told = outcomes.map((outcome) =>
        outcome.status === 'fulfilled' ? logitsOf(outcome.value) : (outcome.reason as ProductError).code,
      );
      expect(told).toEqual([expected, expected, 'server/lost', 'image/unknown-type', expected, expected]);
      // Of the several, and of the one of them that it was.
      expect(pool.meter.read()).toMatchObject({ lostThreads: 2, waiting: 0 });
      expect(logged.length).toBe(2);
    },
  );

  test('answer the first of several slow ones before the last is begun', { timeout: 60_000 }, async () => {
    const { load, pool } = makePool({ threads: 1 });
    const runner = await load(0);
    const task: ModelTask = { input: { file: await drawLargeEmptyPicture() }, layers: ['linear'], hasToken: false };
    const answered: number[] = [];
    const busy = runner.run(taskOf(), FIRST);
    const slow = Array.from({ length: 8 }, (_, index) => runner.run(task, FIRST).then(() => answered.push(index)));
    await busy;
    await slow[0];
    expect(pool.meter.read().runs).toBeLessThan(9);
    await Promise.all(slow);
    expect(answered).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(pool.meter.read()).toMatchObject({ runs: 9, waiting: 0, lostThreads: 0 });
  });

  test('compute no more of several slow ones for a caller that left', { timeout: 60_000 }, async () => {
    const { load, pool } = makePool({ threads: 1 });
    const runner = await load(0);
    const task: ModelTask = { input: { file: await drawLargeEmptyPicture() }, layers: ['linear'], hasToken: false };
    const caller = new AbortController();
    const busy = runner.run(taskOf(), FIRST);
    const leaving = Array.from({ length: 8 }, () => runner.run(task, { ...FIRST, signal: caller.signal }));
    const outcomes = Promise.allSettled(leaving);
    await busy;
    // A thread has been given all of them.
    expect(pool.meter.read()).toMatchObject({ busyThreads: 1, waiting: 0 });
    caller.abort();
    const refused = (await outcomes).filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    for (const outcome of refused) expect(outcome).toMatchObject({ reason: { code: 'request/aborted' } });
    expect(pool.meter.read()).toMatchObject({ runs: 9 - refused.length, abandoned: refused.length, lostThreads: 0 });
  });

  test('fail every run that waits or that a thread was given when they are ended', { timeout: 60_000 }, async () => {
    const { load, pool } = makePool({ threads: 1 });
    const runner = await load(0);
    const task: ModelTask = { input: { file: await drawLargeEmptyPicture() }, layers: ['linear'], hasToken: false };
    const runs = Array.from({ length: 21 }, () => runner.run(task, FIRST));
    const outcomes = Promise.allSettled(runs);
    await runs[0];
    expect(pool.meter.read()).toMatchObject({ busyThreads: 1, waiting: 12 });
    await pool.close();
    expect((await outcomes).map(({ status }) => status)).toEqual(['fulfilled', ...Array(20).fill('rejected')]);
    expect(pool.meter.read().waiting).toBe(0);
  });

  test('are given one large picture at a time', { timeout: 60_000 }, async () => {
    const { load } = makePool({ threads: 1 });
    const runner = await load(0);
    const post = vi.spyOn(Worker.prototype, 'postMessage');
    onTestFinished(() => post.mockRestore());
    const task: ModelTask = { input: { file: await drawLargePicture(600) }, layers: ['linear'], hasToken: false };
    await Promise.all(Array.from({ length: 6 }, () => runner.run(task, FIRST)));
    expect(post.mock.calls.map(([order]) => (order as RunOrder).runs.length)).toEqual([1, 1, 1, 1, 1, 1]);
  });

  test('tell of a run that waited for others that a thread was given with it', async () => {
    const { load, pool } = makePool({ threads: 1 });
    const runner = await load(0);
    const input = { file: await drawLargeEmptyPicture() };
    const runs: MeasuredRun[] = [];
    onTestFinished(pool.meter.observe((run) => runs.push(run)));
    await Promise.all([
      runner.run(taskOf(), FIRST),
      runner.run({ input, layers: [], hasToken: false }, FIRST),
      runner.run(taskOf(), FIRST),
    ]);
    expect(runs[2]?.waitSeconds).toBeGreaterThan(runs[1]?.computeSeconds ?? Infinity);
  });

  test('go on with what they have begun when its model is freed, and free it then', async () => {
    const { load, pool, logged } = makePool({ threads: 1 });
    const [old, next] = [await load(0), await load(1)];
    const task: ModelTask = { input: { file: await drawLargePicture() }, layers: ['linear'], hasToken: false };
    // Nobody waits for it any more: its time is over.
    await expect(old.run(task, { ...LATER, spentMs: 59_999 })).rejects.toMatchObject({ code: 'server/timeout' });
    expect(pool.meter.read().busyThreads).toBe(1);
    old.dispose();
    expect(logitsOf(await next.run(taskOf(), FIRST)).length).toBe(3);
    expect(pool.meter.read()).toMatchObject({ runs: 2, lostThreads: 0 });
    expect(logged).toEqual([]);
  });

  test('are ended when a run takes longer than any may, and a request that waited so long hears it', async () => {
    const { load, pool } = makePool({ threads: 1, timeoutMs: 40 });
    const runner = await load(0);
    const file = await drawLargePicture();
    const large = runner.run({ input: { file }, layers: ['linear'], hasToken: false }, FIRST);
    const waiting = runner.run(taskOf(), { ...LATER, spentMs: 39 });
    // Whichever is rejected first must not be so before somebody listens.
    await Promise.all([
      expect(waiting).rejects.toMatchObject({ code: 'server/timeout', details: { timeoutMs: 40 } }),
      expect(large).rejects.toMatchObject({ code: 'server/timeout' }),
    ]);
    await expect.poll(() => pool.meter.read().lostThreads, { timeout: 10_000 }).toBe(1);
    // The new thread needs longer than 40 ms to be there.
    await expect
      .poll(
        () =>
          runner.run(taskOf(), FIRST).then(
            ({ values }) => values.length,
            () => 0,
          ),
        { timeout: 20_000 },
      )
      .toBe(1);
  });

  test('are not ended for an answer that is there, late as this thread may be to hear it', async () => {
    const { load, pool } = makePool({ threads: 1, timeoutMs: 1000 });
    const runner = await load(0);
    await new Promise((resolve) => setImmediate(resolve));
    const run = runner.run(taskOf(), FIRST);
    // This thread computes; meanwhile the answer and the end of its time come.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2500);
    expect(logitsOf(await run).length).toBe(3);
    expect(pool.meter.read()).toMatchObject({ runs: 1, timedOut: 0, lostThreads: 0 });
  });

  test('give a run only the time that waiting has left of its request, and live on when that was too short', async () => {
    const { load, pool } = makePool({ threads: 1, timeoutMs: 60_000 });
    const runner = await load(0);
    const task: ModelTask = { input: { file: await drawLargePicture() }, layers: ['linear'], hasToken: false };
    const late = runner.run(task, { ...LATER, spentMs: 59_999 });
    expect(pool.meter.read().busyThreads).toBe(1);
    await expect(late).rejects.toMatchObject({ code: 'server/timeout' });
    // The same thread, after what it had begun.
    expect(logitsOf(await runner.run(taskOf(), FIRST)).length).toBe(3);
    expect(pool.meter.read()).toMatchObject({ runs: 2, timedOut: 1, lostThreads: 0 });
  });

  test('are sent a picture without the body that it lies in', async () => {
    const { load } = makePool({ threads: 1 });
    const runner = await load(0);
    const post = vi.spyOn(Worker.prototype, 'postMessage');
    onTestFinished(() => post.mockRestore());
    const body = new Uint8Array(1_000_000);
    body.set(PIXELS, 5000);
    const answer = await runner.run(taskOf(body.subarray(5000, 5000 + PIXELS.length)), FIRST);
    const orders = post.mock.calls.map(([order]) => order as RunOrder);
    const inputs = orders.flatMap(({ runs }) => runs.map(({ task }) => task.input));
    expect(inputs.map((input) => ('pixels' in input ? input.pixels.buffer.byteLength : 0))).toEqual([PIXELS.length]);
    expect(logitsOf(answer)).toEqual(logitsOf(await runner.run(taskOf(), FIRST)));
  });

  test('refuse a model that is damaged, and go on with the others', async () => {
    const { load, pool, logged } = makePool();
    await expect(pool.load(folders[0] ?? '', ids[1] ?? '')).rejects.toMatchObject({ code: 'model/missing' });
    const runner = await load(0);
    await expect(pool.load(folders[1] ?? '', ids[0] ?? '')).rejects.toMatchObject({ code: 'model/missing' });
    expect(logitsOf(await runner.run(taskOf(), FIRST)).length).toBe(3);
    expect(logged).toEqual([]);
  });

  test('free a model that is replaced while they answer with the new one', async () => {
    const { load, logged } = makePool();
    let runner = await load(0);
    const expected = new Map<string, string>();
    for (let swap = 1; swap <= 10; swap++) {
      const old = runner;
      const running = Array.from({ length: 6 }, () => old.run(taskOf(), FIRST));
      const [next, answers] = await Promise.all([load(swap % 2), Promise.all(running)]);
      runner = next;
      old.dispose();
      await expect(old.run(taskOf(), FIRST)).rejects.toThrow('the model is freed');
      for (const [{ manifest }, result] of [
        [old, answers[0]],
        [next, await next.run(taskOf(), FIRST)],
      ] as const) {
        const logits = String(result?.values[0]);
        expect(expected.get(manifest.modelId) ?? logits).toBe(logits);
        expected.set(manifest.modelId, logits);
      }
    }
    expect(new Set(expected.values()).size).toBe(2);
    expect(logged).toEqual([]);
  });
});

test('a request whose caller hangs up while it waits is taken out of the queue', { timeout: 120_000 }, async () => {
  const server = await startServer({
    host: '127.0.0.1',
    port: 0,
    store: folders[0] ?? '',
    page: 'web/dist',
    pool: { threads: 1 },
    reportError: (error) => {
      throw error;
    },
  });
  onTestFinished(() => server.close());
  await server.ready;
  const send = (body: Uint8Array<ArrayBuffer>, signal?: AbortSignal): Promise<number> =>
    fetch(`${server.url}/classify`, { method: 'POST', body, signal: signal ?? null }).then(({ status }) => status);
  const small = await encodePng({ width: 8, height: 8, channels: 1, pixels: new Uint8Array(64) });
  const large = await drawLargePicture();
  // The thread is busy with these for as long as it takes.
  const busy = Array.from({ length: 4 }, () => send(large));
  const countAdmitted = (): number => {
    const { runs, busyThreads, waiting } = server.inference.read();
    return runs + busyThreads + waiting;
  };
  await expect.poll(countAdmitted, { timeout: 20_000, interval: 1 }).toBe(4);
  const caller = new AbortController();
  const leaving = send(small, caller.signal);
  await expect.poll(countAdmitted, { timeout: 20_000, interval: 1 }).toBe(5);
  caller.abort();
  await expect(leaving).rejects.toThrow('aborted');
  expect(await Promise.all(busy)).toEqual([200, 200, 200, 200]);
  await expect.poll(() => server.inference.read(), { timeout: 20_000 }).toMatchObject({ abandoned: 1, runs: 4 });
  expect(await send(small)).toBe(200);
});

test(
  'a thread that took the place of a lost one tries to load the model until it is there',
  { timeout: 120_000 },
  async () => {
    const store = await makeSharedFolder();
    const { modelId } = await writeTinyStore(store, { seed: 3 });
    const logged: unknown[] = [];
    const server = await startServer({
      host: '127.0.0.1',
      port: 0,
      store,
      page: 'web/dist',
      pool: { threads: 1, timeoutMs: 100 },
      reportError: (error) => logged.push(error),
    });
    onTestFinished(() => server.close());
    await server.ready;
    const ask = async (path: string): Promise<number> => (await fetch(server.url + path)).status;
    const send = async (body: Uint8Array<ArrayBuffer>): Promise<number> =>
      (await fetch(`${server.url}/classify`, { method: 'POST', body })).status;
    expect([await ask('/readyz'), await ask('/v2/health/ready')]).toEqual([200, 200]);

    await rename(join(store, modelId), join(store, 'away'));
    expect(await send(await drawLargePicture())).toBe(503);
    const codes = (): unknown[] => logged.map((error) => (error instanceof ProductError ? error.code : undefined));
    await expect.poll(codes, { timeout: 30_000 }).toContain('model/missing');
    expect([await ask('/readyz'), await ask('/v2/health/ready')]).toEqual([503, 503]);

    await rename(join(store, 'away'), join(store, modelId));
    await expect.poll(() => ask('/readyz'), { timeout: 30_000 }).toBe(200);
    const small = await encodePng({ width: 8, height: 8, channels: 1, pixels: new Uint8Array(64) });
    await expect.poll(() => send(small), { timeout: 30_000 }).toBe(200);
    expect(codes().filter((code) => code === 'model/missing').length).toBe(1);
  },
);

test('the settings are whole numbers, with a thread for each core and a queue for each thread', () => {
  const { threads, queueLimit, timeoutMs } = readPoolSettings({});
  expect(threads).toBeGreaterThanOrEqual(1);
  expect([queueLimit, timeoutMs]).toEqual([threads * 32, 30_000]);
  expect(readPoolSettings({ THREADS: '3', QUEUE_LIMIT: '0', REQUEST_TIMEOUT_MS: '500' })).toEqual({
    threads: 3,
    queueLimit: 0,
    timeoutMs: 500,
  });
  for (const [name, text] of [
    ['THREADS', '0'],
    ['THREADS', 'two'],
    ['QUEUE_LIMIT', '-1'],
    ['REQUEST_TIMEOUT_MS', '1.5'],
  ] as const) {
    expect(() => readPoolSettings({ [name]: text })).toThrow(`${name} is "${text}"; a whole number from`);
  }
});
