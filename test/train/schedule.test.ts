import { describe, expect, it } from 'vitest';
import { createRandom } from '../../train/random.ts';
import { learningRateAt, scheduleSchema } from '../../train/schedule.ts';
import type { Schedule } from '../../train/schedule.ts';

function ratesOf(schedule: Schedule, totalSteps: number): number[] {
  return Array.from({ length: totalSteps }, (_, step) => learningRateAt(schedule, { step, totalSteps }));
}

/** To twelve decimals, so that lists of rates can be compared as they are. */
function round(rates: readonly number[]): number[] {
  return rates.map((rate) => Math.round(rate * 1e12) / 1e12);
}

describe('learningRateAt', () => {
  it('stays where it is when constant', () => {
    expect(ratesOf({ kind: 'constant', peak: 0.1 }, 3)).toEqual([0.1, 0.1, 0.1]);
  });

  it('drops at the shares of the ResNet paper: 32,000 and 48,000 of 64,000 steps', () => {
    const schedule: Schedule = { kind: 'steps', peak: 0.1, dropsAt: [0.5, 0.75], factor: 0.1 };
    const at = (step: number): number => learningRateAt(schedule, { step, totalSteps: 64_000 });
    const rates = [0, 31_999, 32_000, 47_999, 48_000, 63_999].map(at);
    expect(round(rates)).toEqual([0.1, 0.1, 0.01, 0.01, 0.001, 0.001]);
  });

  it('goes up and down in straight lines in a one-cycle schedule', () => {
    const schedule: Schedule = { kind: 'one-cycle', peak: 1, warmupShare: 0.4, finalShare: 0 };
    const expected = [0.25, 0.5, 0.75, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0];
    expect(round(ratesOf(schedule, 10))).toEqual(round(expected));
  });

  it('goes down in half a cosine', () => {
    const schedule: Schedule = { kind: 'cosine', peak: 2, warmupShare: 0, finalShare: 0.1 };
    const at = (done: number): number => 0.2 + (1.8 * (1 + Math.cos(Math.PI * done))) / 2;
    expect(round(ratesOf(schedule, 5))).toEqual(round([2, at(0.25), 1.1, at(0.75), 0.2]));
  });

  it('rises to the peak, reaches it, falls, and ends at the final share, whatever the numbers', () => {
    const random = createRandom(1);
    for (let trial = 0; trial < 300; trial++) {
      const kind = trial % 2 === 0 ? 'one-cycle' : 'cosine';
      const peak = 0.001 + random.next();
      const schedule = { kind, peak, warmupShare: random.next() * 0.9, finalShare: random.next() * 0.5 } as const;
      const totalSteps = 20 + random.nextInt(200);
      const rates = ratesOf(schedule, totalSteps);
      const top = rates.indexOf(Math.max(...rates));
      expect(rates[top]).toBeCloseTo(peak, 12);
      expect(Math.abs(top + 1 - schedule.warmupShare * totalSteps)).toBeLessThanOrEqual(1);
      expect(rates.at(-1)).toBeCloseTo(peak * schedule.finalShare, 12);
      expect(rates[0]).toBeGreaterThan(0);
      rates.slice(1).forEach((rate, index) => {
        const step = rate - (rates[index] ?? 0);
        expect(index + 1 <= top ? step > 0 : step <= 1e-15).toBe(true);
      });
    }
  });

  it('stays below the peak between the last two steps of the warm-up, where an epoch has fewer steps', () => {
    const schedule = { kind: 'one-cycle', peak: 0.1, warmupShare: 0.45, finalShare: 0 } as const;
    expect(learningRateAt(schedule, { step: 5, totalSteps: 16 })).toBeCloseTo((0.1 * 6) / 7, 12);
    for (const step of [6.25, 6.9]) expect(learningRateAt(schedule, { step, totalSteps: 16 })).toBe(0.1);
  });

  it('gives a run of one step the peak', () => {
    for (const kind of ['one-cycle', 'cosine'] as const) {
      expect(ratesOf({ kind, peak: 0.5, warmupShare: 0.3, finalShare: 0 }, 1)).toEqual([0.5]);
    }
  });

  it('refuses a step outside of the run', () => {
    for (const step of [-1, 10, Number.NaN]) {
      expect(() => learningRateAt({ kind: 'constant', peak: 1 }, { step, totalSteps: 10 })).toThrow('internal:');
    }
  });
});

describe('scheduleSchema', () => {
  it('refuses keys it does not know and shares beyond one', () => {
    expect(scheduleSchema.safeParse({ kind: 'constant', peak: 1, warmupShare: 0 }).success).toBe(false);
    const cycle = { kind: 'one-cycle', peak: 1, warmupShare: 0.3, finalShare: 0 };
    expect(scheduleSchema.safeParse(cycle).success).toBe(true);
    expect(scheduleSchema.safeParse({ ...cycle, warmupShare: 1.1 }).success).toBe(false);
  });
});
