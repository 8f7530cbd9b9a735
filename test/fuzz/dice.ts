/** Random choices out of a seed and an index: input number `index` of a seed is the same whatever was drawn before. */
import { makeRandom } from '../support/seeded-random.ts';

export interface Dice {
  /** 32 random bits. */
  bits(): number;
  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number;
  pick<Value>(values: readonly Value[]): Value;
  /** True once in `times`. */
  onceIn(times: number): boolean;
}

export function castDice(seed: number, index: number): Dice {
  // Seeds beside each other must not give the same inputs one place later.
  const bits = makeRandom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b));
  const below = (limit: number): number => Math.floor((bits() / 2 ** 32) * limit);
  return {
    bits,
    below,
    onceIn: (times) => below(times) === 0,
    pick<Value>(values: readonly Value[]): Value {
      const value = values[below(values.length)];
      if (value === undefined) throw new Error('internal: nothing to pick from');
      return value;
    },
  };
}
