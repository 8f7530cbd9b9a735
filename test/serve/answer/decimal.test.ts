import { expect, test } from 'vitest';
import { toDecimal } from '../../../serve/answer/decimal.ts';

test('decimals are read back as the same float32', () => {
  const values = Float32Array.from({ length: 2000 }, (_, index) => Math.sin(index) * 10 ** ((index % 30) - 15));
  expect(Float32Array.from(Array.from(values, toDecimal))).toEqual(values);
  expect(JSON.stringify(toDecimal(Math.fround(0.1)))).toBe('0.100000001');
});

test('doubles that differ in their last digit only are written alike', () => {
  expect(toDecimal(0.12345678912345678)).toBe(toDecimal(0.1234567891234568));
  expect(JSON.stringify(toDecimal(1.2345678912e-7))).toBe('1.23456789e-7');
});
