import { expect, test } from 'vitest';
import { workAhead } from '../../../serve/inference/work-ahead.ts';

async function collect<Result>(results: AsyncGenerator<Result>): Promise<Result[]> {
  const all: Result[] = [];
  for await (const result of results) all.push(result);
  return all;
}

test('results come in the order of the items, whichever is ready first, and never more than so many are in work', async () => {
  let inWork = 0;
  let most = 0;
  const work = async (item: number): Promise<number> => {
    most = Math.max(most, ++inWork);
    for (let turn = 0; turn <= item % 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    inWork -= 1;
    return item * 10;
  };
  const items = Array.from({ length: 20 }, (_, index) => index);
  expect(await collect(workAhead(items, work, 3))).toEqual(items.map((item) => item * 10));
  expect(most).toBe(3);
  expect(await collect(workAhead([], work, 3))).toEqual([]);
});

test('an item that cannot be had is told after the results before it', async () => {
  async function* items(): AsyncGenerator<number> {
    yield 1;
    yield 2;
    throw new Error('the third is damaged');
  }
  const seen: number[] = [];
  const read = async (): Promise<void> => {
    for await (const result of workAhead(items(), async (item) => item, 4)) seen.push(result);
  };
  await expect(read()).rejects.toThrow('the third is damaged');
  expect(seen).toEqual([1, 2]);
});

test('who stops early waits for what is in work, and frees the source', async () => {
  const log: string[] = [];
  async function* items(): AsyncGenerator<number> {
    try {
      for (let item = 0; ; item++) yield item;
    } finally {
      log.push('source freed');
    }
  }
  const { promise, resolve } = Promise.withResolvers<void>();
  const work = async (item: number): Promise<number> => {
    if (item > 0) await promise;
    log.push(`${item} done`);
    return item;
  };
  const results = workAhead(items(), work, 2);
  expect((await results.next()).value).toBe(0);
  const ended = results.return(undefined);
  resolve();
  await ended;
  expect(log).toEqual(['0 done', '1 done', 'source freed']);
});
