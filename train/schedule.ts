/** Learning rate of each step: a pure function of the schedule and the position, with no state to save or restore. */
import { z } from 'zod';

const rate = z.number().positive();
const share = z.number().min(0).max(1);

export const scheduleSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('constant'), peak: rate }),
  /** Multiplied by `factor` when each of the given shares of the run is done, as in the ResNet papers. */
  z.strictObject({ kind: z.literal('steps'), peak: rate, dropsAt: z.array(share), factor: z.number().gt(0).lt(1) }),
  /** Linear to the peak, then half a cosine down to `finalShare` of it. Loshchilov and Hutter 2017, arXiv:1608.03983. */
  z.strictObject({ kind: z.literal('cosine'), peak: rate, warmupShare: share, finalShare: share }),
  /** Linear to the peak, then linear down to `finalShare` of it. Smith and Topin 2018, arXiv:1708.07120. */
  z.strictObject({ kind: z.literal('one-cycle'), peak: rate, warmupShare: share, finalShare: share }),
]);

export type Schedule = z.infer<typeof scheduleSchema>;

export interface SchedulePosition {
  /** The step that is about to be done, from 0; a fraction where an epoch has fewer steps than the schedule counts. */
  step: number;
  totalSteps: number;
}

/**
 * The rate of one step: never above the peak, never zero on the way up, `finalShare * peak` in the last whole step (unless
 * the warm-up takes the whole run).
 */
export function learningRateAt(schedule: Schedule, position: SchedulePosition): number {
  const { step, totalSteps } = position;
  if (!(step >= 0 && step < totalSteps)) throw new RangeError(`internal: step ${step} of ${totalSteps}`);
  const { kind, peak } = schedule;
  switch (kind) {
    case 'constant':
      return peak;
    case 'steps': {
      const drops = schedule.dropsAt.filter((at) => step >= Math.round(at * totalSteps)).length;
      return peak * schedule.factor ** drops;
    }
    case 'cosine':
      return rampAndDecay(schedule, position, (done) => (1 + Math.cos(Math.PI * done)) / 2);
    case 'one-cycle':
      return rampAndDecay(schedule, position, (done) => 1 - done);
    default:
      throw new Error(`internal: schedule ${JSON.stringify(kind satisfies never)}`);
  }
}

/** Linear from peak / warmupSteps to the peak, then down; `shape` falls from 1 to 0 while its argument goes from 0 to 1. */
function rampAndDecay(
  schedule: { peak: number; warmupShare: number; finalShare: number },
  { step, totalSteps }: SchedulePosition,
  shape: (done: number) => number,
): number {
  const { peak, warmupShare, finalShare } = schedule;
  const warmupSteps = Math.round(warmupShare * totalSteps);
  if (step < warmupSteps) return (peak * Math.min(step + 1, warmupSteps)) / warmupSteps;
  // The step that has the peak: the last one of the warm-up, or the first of all.
  const peakStep = Math.max(warmupSteps - 1, 0);
  const done = totalSteps - 1 === peakStep ? 0 : (step - peakStep) / (totalSteps - 1 - peakStep);
  return peak * (finalShare + (1 - finalShare) * shape(done));
}
