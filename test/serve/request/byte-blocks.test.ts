import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { ByteBlocks, gatherChunks } from '../../../serve/request/byte-blocks.ts';

const BYTES = Uint8Array.from({ length: 300_000 }, (_, index) => (index * 31) % 251);

function* cut(size: number): Generator<Uint8Array> {
  for (let start = 0; start < BYTES.length; start += size) yield BYTES.subarray(start, start + size);
}

test.each([1, 2, 3, 1000, 65_536, 65_537, 200_000, 300_000])(
  'chunks of %d bytes are the same bytes when they are taken, and nothing is left',
  (size) => {
    const blocks = new ByteBlocks();
    for (const chunk of cut(size)) blocks.add(chunk);
    expect(blocks.length).toBe(BYTES.length);
    expect(blocks.take()).toEqual(BYTES);
    expect(blocks.length).toBe(0);
    expect(blocks.take().length).toBe(0);
  },
);

test('what was taken stays as it is when more is added', () => {
  const blocks = new ByteBlocks();
  blocks.add(Uint8Array.of(1, 2));
  const first = blocks.take();
  blocks.add(Uint8Array.of(3));
  blocks.add(Uint8Array.of(4, 5, 6));
  expect(blocks.take()).toEqual(Uint8Array.of(3, 4, 5, 6));
  expect(first).toEqual(Uint8Array.of(1, 2));
});

test.each([1, 40_000, 150_000])('chunks of %d bytes are gathered into a few large ones', async (size) => {
  const gathered: Uint8Array[] = [];
  for await (const chunk of gatherChunks(Readable.from(cut(size)))) gathered.push(chunk);
  expect(Buffer.concat(gathered)).toEqual(Buffer.from(BYTES));
  for (const chunk of gathered.slice(0, -1)) expect(chunk.length).toBeGreaterThanOrEqual(65_536);
});
