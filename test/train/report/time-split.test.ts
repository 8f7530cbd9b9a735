import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { splitTime } from '../../../train/report/time-split.ts';
import { readEvents } from '../../../train/run-log.ts';
import type { LoggedEvent } from '../../../train/run-log.ts';

/** An event so many seconds after the start of the first run. */
function at(seconds: number, event: string, facts: Record<string, unknown> = {}): LoggedEvent {
  return { time: new Date(Date.UTC(2026, 0, 1) + 1000 * seconds).toISOString(), event, ...facts };
}

describe('splitTime', () => {
  it('tells computation, waiting, evaluation and the rest apart, without the pause between two sessions', () => {
    const time = splitTime([
      at(0, 'start'),
      at(10, 'steps', { step: 25, durationSeconds: 9, waitSeconds: 1 }),
      at(12, 'interrupted', { step: 26 }),
      at(1000, 'resume', { step: 26 }),
      at(1020, 'steps', { step: 50, durationSeconds: 15, waitSeconds: 2 }),
      at(1024, 'epoch', { step: 50, durationSeconds: 24 }),
      at(1026, 'average', { step: 50 }),
      at(1027, 'calibration', { step: 50 }),
      at(1037, 'test', { step: 50 }),
    ]);
    // 12 s and 37 s of sessions; 4 + 2 + 1 + 10 s of evaluation; 24 s of steps of which 3 s are waiting.
    expect(time).toEqual({ wall: 49, computation: 21, waiting: 3, evaluation: 17, rest: 8 });
  });

  it('takes the figures of the epochs where the log has none of steps', async () => {
    const time = splitTime(await readEvents(join(import.meta.dirname, '../../../train/results/first-light-2')));
    // Computed from the file with a separate program.
    expect(time.waiting).toBeNull();
    expect(time.computation).toBeCloseTo(2534.307, 3);
    expect(time.evaluation).toBeCloseTo(100.404, 3);
    expect(time.wall).toBeCloseTo(2649.231, 3);
    expect(time.computation + time.evaluation + time.rest).toBeCloseTo(time.wall, 6);
  });

  it('knows nothing of an empty log', () => {
    expect(splitTime([])).toEqual({ wall: 0, computation: 0, waiting: null, evaluation: 0, rest: 0 });
  });
});
