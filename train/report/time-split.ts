/** Where the time of a run went, as far as its log tells. */
import { z } from 'zod';
import type { LoggedEvent } from '../run-log.ts';

/** All in seconds. */
export interface TimeSplit {
  /** From each start or resume to the last event before the next one. */
  wall: number;
  /** Forward, backward and update. With the waiting in it where the log does not tell them apart. */
  computation: number;
  /** The engine had no batch; null in logs that do not have it. */
  waiting: number | null;
  /** Validation, calibration, statistics of averaged parameters, and test; the last checkpoint is written in between and counts here. */
  evaluation: number;
  /** Checkpoints, and what the log does not tell. */
  rest: number;
}

const timedSteps = z.object({ event: z.literal('steps'), durationSeconds: z.number(), waitSeconds: z.number() });
const timedEpoch = z.object({ event: z.literal('epoch'), durationSeconds: z.number() });

/** Steps that were done twice, after a crash, count twice: they took their time. */
export function splitTime(events: readonly LoggedEvent[]): TimeSplit {
  const steps = events.flatMap((event) => timedSteps.safeParse(event).data ?? []);
  const epochs = events.flatMap((event) => timedEpoch.safeParse(event).data ?? []);
  const isTimed = steps.length > 0;
  const training = add((isTimed ? steps : epochs).map(({ durationSeconds }) => durationSeconds));
  const waiting = isTimed ? add(steps.map(({ waitSeconds }) => waitSeconds)) : null;
  const evaluation = add(events.map((event, index) => evaluationBefore(event, events[index - 1])));
  const wall = add(events.map((event, index) => (isStart(event) ? 0 : secondsBetween(events[index - 1], event))));
  const rest = Math.max(0, wall - training - evaluation);
  return { wall, computation: training - (waiting ?? 0), waiting, evaluation, rest };
}

/** Seconds of evaluation that end with this event; the log gets a line right before each evaluation. */
function evaluationBefore(event: LoggedEvent, former: LoggedEvent | undefined): number {
  const isMeasured = ['average', 'calibration', 'test'].includes(event.event);
  const isValidated = event.event === 'epoch' && former !== undefined && former['step'] === event['step'];
  return isMeasured || isValidated ? secondsBetween(former, event) : 0;
}

function isStart({ event }: LoggedEvent): boolean {
  return event === 'start' || event === 'resume';
}

function secondsBetween(former: LoggedEvent | undefined, event: LoggedEvent): number {
  return former === undefined ? 0 : (Date.parse(event.time) - Date.parse(former.time)) / 1000;
}

function add(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
