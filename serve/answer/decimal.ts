/** How numbers are written in answers. */

const DIGITS = 9;

/**
 * The number rounded to 9 significant digits: as many as tell every float32 from all others. Of numbers that were
 * computed in double precision it also drops the last digits, where Math.exp differs between versions of V8.
 */
export function toDecimal(value: number): number {
  return Number(value.toPrecision(DIGITS));
}
