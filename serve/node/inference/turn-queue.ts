/**
 * Who is next. First runs of callers come before later ones, so that nobody waits behind a whole evaluation; but every
 * fourth turn is one of a later run that waits, so that long work goes on under load.
 */

const FIRSTS_IN_A_ROW = 3;

export interface TurnQueue<Job> {
  add(job: Job, isLater: boolean): void;
  /** The same before all others: it was taken out, and its turn did not come. */
  putBack(job: Job, isLater: boolean): void;
  /** Whoever is next among those that fit, taken out. */
  take(fits: (job: Job) => boolean): Job | undefined;
  /** Whether it was there. */
  remove(job: Job): boolean;
  /** First runs that wait, and later ones. */
  readonly waiting: { first: number; later: number };
}

export function createTurnQueue<Job>(): TurnQueue<Job> {
  const firsts: Job[] = [];
  const laters: Job[] = [];
  let firstsInARow = 0;

  function takeFrom(jobs: Job[], fits: (job: Job) => boolean): Job | undefined {
    const index = jobs.findIndex(fits);
    return index === -1 ? undefined : jobs.splice(index, 1)[0];
  }

  return {
    add: (job, isLater) => void (isLater ? laters : firsts).push(job),
    putBack: (job, isLater) => void (isLater ? laters : firsts).unshift(job),
    take(fits) {
      const job = firstsInARow < FIRSTS_IN_A_ROW ? takeFrom(firsts, fits) : undefined;
      if (job !== undefined) {
        firstsInARow += 1;
        return job;
      }
      firstsInARow = 0;
      return takeFrom(laters, fits) ?? takeFrom(firsts, fits);
    },
    remove: (job) =>
      [firsts, laters].some((jobs) => {
        const index = jobs.indexOf(job);
        if (index !== -1) jobs.splice(index, 1);
        return index !== -1;
      }),
    get waiting() {
      return { first: firsts.length, later: laters.length };
    },
  };
}
