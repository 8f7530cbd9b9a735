import { expect, test } from 'vitest';
import { readInto } from '../../serve/read-into.ts';

function bodyOf(length: number): ReadableStream {
  const bytes = Uint8Array.from({ length }, (_, index) => index % 251);
  const { body } = new Response(bytes);
  if (body === null) throw new Error('no body');
  return body;
}

test.each([0, 1, 70_000, 99_999])('a body of %d bytes is read into memory that was there before', async (length) => {
  const buffer = new ArrayBuffer(100_000);
  const read = await readInto(bodyOf(length), buffer);
  expect(read.length).toBe(length);
  expect(read.every((byte, index) => byte === index % 251)).toBe(true);
  expect(read.buffer.byteLength).toBe(100_000);
  expect(buffer.byteLength, 'taken over').toBe(0);
  const next = await readInto(bodyOf(3), read.buffer);
  expect([...next]).toEqual([0, 1, 2]);
});

test('of a body that is too long so much is read as fits', async () => {
  const read = await readInto(bodyOf(100_001), new ArrayBuffer(100_000));
  expect(read.length).toBe(100_000);
  expect(read[99_999]).toBe(99_999 % 251);
});
