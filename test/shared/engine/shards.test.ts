/** The bytes of weights over several shards: what can be read, and what is let go of. */
import { expect, test } from 'vitest';
import { Shards } from '../../../shared/engine/shards.ts';

const SPECS = [
  { name: 'first', shape: [25], dtype: 'float32' as const },
  { name: 'second', shape: [65], dtype: 'float32' as const },
];
const BYTES = Uint8Array.from({ length: 360 }, (_, index) => (index * 7) % 256);

interface Reading {
  shards: Shards;
  chunks: Uint8Array[];
  released: Uint8Array[];
}

/** Shards of so many bytes, all of them added. */
function cut(...ends: number[]): Reading {
  const released: Uint8Array[] = [];
  const shards = new Shards(SPECS, (chunk) => released.push(chunk));
  const chunks = ends.map((end, index) => BYTES.slice(ends[index - 1] ?? 0, end));
  chunks.forEach((chunk) => shards.add(chunk));
  shards.end();
  return { shards, chunks, released };
}

function read(shards: Shards, from: number, to: number): Uint8Array {
  const target = new Uint8Array(to - from);
  shards.copy(from, target);
  return target;
}

test('a shard is let go of when nothing of it is needed any more', () => {
  const { shards, chunks, released } = cut(100, 360);
  shards.release(99);
  shards.release(100);
  expect(released).toEqual([chunks[0]]);
  expect(read(shards, 100, 360)).toEqual(BYTES.slice(100));
  expect(() => read(shards, 98, 120)).toThrow('were let go');
  shards.release(Infinity);
  expect(released).toEqual(chunks);
});

test('a shard is let go of when a small end of it is needed, which can be read still', () => {
  const { shards, chunks, released } = cut(120, 240, 360);
  shards.release(100);
  expect(released).toEqual([chunks[0]]);
  // Its memory is used for something else.
  chunks[0]?.fill(0);
  expect(read(shards, 100, 360)).toEqual(BYTES.slice(100));
  expect(read(shards, 110, 130)).toEqual(BYTES.slice(110, 130));
  expect(() => read(shards, 90, 130)).toThrow('were let go');
  // The end is nobody's shard: it is not let go of a second time.
  shards.release(110);
  shards.release(120);
  expect(released).toEqual([chunks[0]]);
  shards.release(360);
  expect(released).toEqual(chunks);
});

test('a shard of which more is needed is kept as it is', () => {
  const { shards, chunks, released } = cut(200, 360);
  shards.release(100);
  expect(released).toEqual([]);
  expect(read(shards, 100, 360)).toEqual(BYTES.slice(100));
  expect(chunks[0]).toEqual(BYTES.slice(0, 200));
});

test('the small end of a shard that is a Node Buffer is a copy, too', () => {
  const shards = new Shards(SPECS, (chunk) => chunk.fill(0));
  shards.add(Buffer.from(BYTES.slice(0, 120)));
  shards.add(Buffer.from(BYTES.slice(120)));
  shards.release(100);
  expect(read(shards, 100, 360)).toEqual(BYTES.slice(100));
});
