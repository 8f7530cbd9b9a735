/** Streams that are wrong in two ways: the one that is met first is told, whatever follows. */
import { deflateSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { inflate } from '../../../shared/image/inflate.ts';

const ZEROS = new Uint8Array(deflateSync(new Uint8Array(100)));
const FOLLOWED = new Uint8Array([...ZEROS, 1, 2, 3]);

test('a stream that is too long is long, also when it is broken behind that', async () => {
  const written: number[] = [];
  const write = (piece: Uint8Array) => written.push(piece.length);
  expect(await inflate({ parts: [FOLLOWED], expectedBytes: 10, write })).toBe('long');
  expect(written).toEqual([]);
});

test('what the receiver throws is told, also when the stream is broken behind that', async () => {
  const refusal = new Error('no such filter');
  const write = () => {
    throw refusal;
  };
  await expect(inflate({ parts: [FOLLOWED], expectedBytes: 100, write })).rejects.toBe(refusal);
});

test('a stream that other bytes follow is broken, and without them complete', async () => {
  const write = () => undefined;
  expect(await inflate({ parts: [FOLLOWED], expectedBytes: 100, write })).toBe('broken');
  expect(await inflate({ parts: [ZEROS], expectedBytes: 100, write })).toBe('complete');
});
