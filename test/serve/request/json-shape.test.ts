import { expect, test } from 'vitest';
import { checkJsonShape } from '../../../serve/request/json-shape.ts';
import { API_LIMITS } from '../../../shared/api.ts';

const check = (text: string): void => checkJsonShape(new TextEncoder().encode(text));
const nest = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
const list = (count: number, item: string): string => `[${Array.from({ length: count }, () => item).join()}]`;

test('what is as deep and as large as allowed passes, and one more does not', () => {
  const { jsonDepth, jsonContainers, jsonFields } = API_LIMITS;
  expect(() => check(nest(jsonDepth))).not.toThrow();
  expect(() => check(nest(jsonDepth + 1))).toThrow(`nested more than ${jsonDepth} deep`);
  expect(() => check(list(jsonContainers - 1, '{}'))).not.toThrow();
  expect(() => check(list(jsonContainers, '{}'))).toThrow(`more than ${jsonContainers} lists and objects`);
  expect(() => check(list(jsonFields, '{"a":1}'))).not.toThrow();
  expect(() => check(list(jsonFields + 1, '{"a":1}'))).toThrow(`more than ${jsonFields} fields`);
});

test('brackets and colons in strings are text, whatever is escaped there', () => {
  const opening = '[{:'.repeat(10_000);
  for (const text of [opening, `\\"${opening}`, `${opening}\\\\`, `\\\\\\"${opening}`]) {
    const json = `{"a":"${text}","b":[1]}`;
    expect(JSON.parse(json)).toHaveProperty('b');
    expect(() => check(json)).not.toThrow();
  }
});

test('what follows a string is counted again', () => {
  expect(() => check(`{"a":"\\\\","b":${nest(40)}}`)).toThrow('nested more than');
});

test('what is no JSON is left to the parser', () => {
  for (const text of ['', '"', '"\\', ']]]]', '{"a', '\\"[', '\u0000']) expect(() => check(text)).not.toThrow();
});
