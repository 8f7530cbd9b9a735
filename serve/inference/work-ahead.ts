/** Work on a sequence with some of it begun before it is wanted. */

/**
 * The results in the order of the items, with up to `ahead` of them in work at the same time. Ends when nothing is in
 * work any more, also when the caller ends it early or an item cannot be had: then the results before it come first.
 *
 * Errors   those of the items and of the work
 */
export async function* workAhead<Item, Result>(
  items: AsyncIterable<Item> | Iterable<Item>,
  work: (item: Item) => Promise<Result>,
  ahead: number,
): AsyncGenerator<Result> {
  const source = toAsync(items);
  const begun: Promise<Result>[] = [];
  let isOver = false;
  let failure: { error: unknown } | undefined;
  try {
    for (;;) {
      while (!isOver && begun.length < ahead) {
        try {
          const { value, done } = await source.next();
          if (done === true) isOver = true;
          else begun.push(observe(work(value)));
        } catch (error) {
          isOver = true;
          failure = { error };
        }
      }
      const first = begun.shift();
      if (first !== undefined) yield await first;
      else if (failure === undefined) return;
      else throw failure.error;
    }
  } finally {
    await Promise.allSettled(begun);
    await source.return(undefined);
  }
}

async function* toAsync<Item>(items: AsyncIterable<Item> | Iterable<Item>): AsyncGenerator<Item, undefined> {
  yield* items;
}

/** A failure is told when its turn comes; until then it is nobody's fault that nobody looked. */
function observe<Result>(work: Promise<Result>): Promise<Result> {
  work.catch(() => undefined);
  return work;
}
