/** Who sees that an input is never answered, also where the thread that works on it never comes back. */
import { IDLE } from './fuzz-plan.ts';

const LOOK_MS = 500;

/** Calls `giveUp`, once, with the input that has been in work for too long. */
export function watchLanes(
  lanes: SharedArrayBuffer,
  patienceMs: number,
  giveUp: (index: number) => void,
): NodeJS.Timeout {
  const shared = new Float64Array(lanes).fill(IDLE);
  const last = [...shared].map((index) => ({ index, since: performance.now() }));
  const watch = setInterval(() => {
    for (const [lane, index] of shared.entries()) {
      const seen = last[lane];
      if (seen === undefined || seen.index !== index) last[lane] = { index, since: performance.now() };
      else if (index !== IDLE && performance.now() - seen.since > patienceMs) {
        clearInterval(watch);
        giveUp(index);
        return;
      }
    }
  }, LOOK_MS);
  return watch;
}
