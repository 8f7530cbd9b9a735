/**
 * Which of several ways to compute the same thing an engine takes, decided by measuring when a shape first comes by.
 *
 * Ways differ in the order in which they add up, so in their last bits: a run keeps what was decided in its checkpoints
 * and goes on with it.
 */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { ProductError } from '../../shared/errors.ts';

/** What is computed, with its shape -> the name of the way. */
export type Formulations = Readonly<Record<string, string>>;

/** Measure each new shape, or take the first way of each. */
export type FormulationPolicy = 'measured' | 'default';

/** One measured decision. */
export interface Measurement {
  /** What was computed, with its shape. */
  subject: string;
  chosen: string;
  /** The quickest run of each way: what disturbs the machine only ever adds. */
  milliseconds: Readonly<Record<string, number>>;
}

/** How often a way that may win is run; the first run of each (which may compile) does not count. */
const ROUNDS = 9;
/** After its first counted run, a way that took this many times as long as the best one is out. */
const HOPELESS = 1.6;
/** Another way than the first one has to win by this share: what is closer than that may be noise. */
const LEAST_GAIN = 0.04;

export class FormulationChooser {
  readonly #policy: FormulationPolicy;
  readonly #chosen = new Map<string, string>();
  #unreported: Measurement[] = [];

  constructor(policy: FormulationPolicy) {
    this.#policy = policy;
  }

  /** All that is decided so far. */
  list(): Formulations {
    return Object.fromEntries(this.#chosen);
  }

  /** Decide beforehand; what is not named is decided as the policy says. */
  pin(formulations: Formulations): void {
    for (const [subject, name] of Object.entries(formulations)) this.#chosen.set(subject, name);
  }

  /** What was measured since the last call. */
  takeMeasurements(): readonly Measurement[] {
    const measurements = this.#unreported;
    this.#unreported = [];
    return measurements;
  }

  /**
   * Compute in the way that is decided for the subject, deciding it first if need be.
   *
   * `discard` is handed the results of the runs that were only made to measure.
   * Errors: `config/invalid` when a way was pinned that there is not.
   */
  compute<Result>(
    subject: string,
    ways: Readonly<Record<string, () => Result>>,
    discard: (result: Result) => void,
  ): Result {
    const name = this.#chosen.get(subject) ?? this.#decide(subject, ways, discard);
    const way = ways[name];
    if (way !== undefined) return way();
    throw new ProductError(
      'config/invalid',
      `there is no formulation "${name}" of "${subject}"; name one of ${Object.keys(ways).join(', ')}`,
    );
  }

  #decide<Result>(
    subject: string,
    ways: Readonly<Record<string, () => Result>>,
    discard: (result: Result) => void,
  ): string {
    const names = Object.keys(ways);
    const first = names[0] ?? '';
    if (this.#policy === 'default' || names.length === 1) return first;
    const times = measureInTurns(ways, discard);
    const milliseconds = Object.fromEntries(
      [...times].map(([name, runs]) => [name, roundToMicroseconds(Math.min(...runs))]),
    );
    const rated = [...times].map(([name, runs]) => [name, Math.min(...runs)] as const);
    const [best, bestTime] = rated.reduce((left, right) => (right[1] < left[1] ? right : left), [first, Infinity]);
    const chosen = bestTime < (1 - LEAST_GAIN) * Math.min(...(times.get(first) ?? [])) ? best : first;
    this.#chosen.set(subject, chosen);
    this.#unreported.push({ subject, chosen, milliseconds });
    return chosen;
  }
}

/** In turns, so that what disturbs the machine disturbs all. */
function measureInTurns<Result>(
  ways: Readonly<Record<string, () => Result>>,
  discard: (result: Result) => void,
): Map<string, number[]> {
  const times = new Map<string, number[]>();
  let running = Object.entries(ways);
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [name, way] of running) {
      const startedAt = performance.now();
      const result = way();
      const duration = performance.now() - startedAt;
      discard(result);
      if (round > 0) times.set(name, [...(times.get(name) ?? []), duration]);
    }
    if (round !== 1) continue;
    const best = Math.min(...[...times.values()].flat());
    running = running.filter(([name]) => Math.min(...(times.get(name) ?? [])) <= HOPELESS * best);
  }
  return times;
}

/** One line for people: how often each way was chosen. */
export function describeMeasurements(measurements: readonly Measurement[]): string {
  const counts = new Map<string, number>();
  for (const { chosen } of measurements) counts.set(chosen, (counts.get(chosen) ?? 0) + 1);
  const parts = [...counts].map(([name, count]) => `${name} ${count}`);
  return `formulations: ${measurements.length} measured, chosen ${parts.join(', ')}`;
}

const formulationsSchema = z.record(z.string(), z.string());

/** Read choices from a JSON file. Errors: `config/invalid`. */
export async function readFormulations(file: string): Promise<Formulations> {
  try {
    return formulationsSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (cause) {
    const found = cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause);
    throw new ProductError(
      'config/invalid',
      `${file} does not name formulations: ${found}; an object of names by subject is expected, as "chosen" in a log`,
      { cause },
    );
  }
}

function roundToMicroseconds(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000;
}
