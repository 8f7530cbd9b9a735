import { expect, test } from 'vitest';
import { createTurnQueue } from '../../../../serve/node/inference/turn-queue.ts';

const anything = (): boolean => true;

test('first runs come before later ones, and every fourth turn is a later one', () => {
  const queue = createTurnQueue<string>();
  for (const name of ['l1', 'l2', 'l3']) queue.add(name, true);
  for (const name of ['f1', 'f2', 'f3', 'f4', 'f5']) queue.add(name, false);
  expect(queue.waiting).toEqual({ first: 5, later: 3 });
  const order = Array.from({ length: 9 }, () => queue.take(anything));
  expect(order).toEqual(['f1', 'f2', 'f3', 'l1', 'f4', 'f5', 'l2', 'l3', undefined]);
});

test('only a job that fits is taken, and one that is removed is not', () => {
  const queue = createTurnQueue<string>();
  for (const name of ['a1', 'b1', 'a2']) queue.add(name, false);
  queue.add('b2', true);
  expect(queue.take((job) => job.startsWith('b'))).toBe('b1');
  expect([queue.remove('a1'), queue.remove('a1')]).toEqual([true, false]);
  expect(queue.take((job) => job.startsWith('b'))).toBe('b2');
  expect([queue.take(anything), queue.take(anything)]).toEqual(['a2', undefined]);
});

test('what is put back is taken before all others of its kind', () => {
  const queue = createTurnQueue<string>();
  for (const name of ['f1', 'f2', 'f3']) queue.add(name, false);
  for (const name of ['l1', 'l2']) queue.add(name, true);
  const taken = ['f1', 'f2', 'f3', 'l1'].map(() => queue.take(anything));
  for (const name of taken.toReversed()) queue.putBack(name ?? '', name === 'l1');
  expect(queue.waiting).toEqual({ first: 3, later: 2 });
  expect(['f1', 'f2', 'f3', 'l1', 'l2'].map(() => queue.take(anything))).toEqual(['f1', 'f2', 'f3', 'l1', 'l2']);
});
