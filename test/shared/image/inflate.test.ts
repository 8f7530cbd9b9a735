/** Streams that are wrong in two ways: the one that is met first is told, whatever follows. */
import { deflateSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { NODE_ZLIB } from '../../../serve/node/zlib-at-once.ts';
import { inflate } from '../../../shared/image/inflate.ts';
import { encodeInputToken } from '../../../shared/image/token.ts';

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

const NOISE = Uint8Array.from({ length: 3072 }, (_, index) => (index * index * 31) % 251);
const DEFLATED = new Uint8Array(deflateSync(NOISE));
const DAMAGED = DEFLATED.with(200, (DEFLATED[200] ?? 0) ^ 64);

test.each([
  { name: 'sound', parts: [DEFLATED], expectedBytes: 3072, outcome: 'complete' },
  {
    name: 'cut into chunks',
    parts: [DEFLATED.subarray(0, 9), DEFLATED.subarray(9)],
    expectedBytes: 3072,
    outcome: 'complete',
  },
  { name: 'too short', parts: [DEFLATED], expectedBytes: 3073, outcome: 'short' },
  { name: 'too long', parts: [DEFLATED], expectedBytes: 3071, outcome: 'long' },
  { name: 'followed by a byte', parts: [Uint8Array.of(...DEFLATED, 0)], expectedBytes: 3072, outcome: 'broken' },
  { name: 'cut off', parts: [DEFLATED.subarray(0, -1)], expectedBytes: 3072, outcome: 'broken' },
  { name: 'damaged', parts: [DAMAGED], expectedBytes: 3072, outcome: 'broken' },
  { name: 'empty', parts: [], expectedBytes: 3072, outcome: 'broken' },
])(
  'a stream that is $name comes out the same in one call and as a stream',
  async ({ parts, expectedBytes, outcome }) => {
    const run = async (zlib?: typeof NODE_ZLIB) => {
      const written: number[] = [];
      const told = await inflate({ parts, expectedBytes, write: (piece) => written.push(...piece), zlib });
      return { told, written };
    };
    const streamed = await run();
    expect(streamed.told).toBe(outcome);
    expect(await run(NODE_ZLIB)).toEqual(streamed);
  },
);

test('one call and a stream give the bytes that were deflated', async () => {
  for (const zlib of [NODE_ZLIB, undefined]) {
    const written: number[] = [];
    await inflate({ parts: [DEFLATED], expectedBytes: 3072, write: (piece) => written.push(...piece), zlib });
    expect(written).toEqual([...NOISE]);
  }
});

test('a token is the same in one call and as a stream', async () => {
  expect(await encodeInputToken(NOISE, NODE_ZLIB)).toBe(await encodeInputToken(NOISE));
});

test('one call inflates no more than it may, and only a sound stream with nothing behind it', () => {
  expect(NODE_ZLIB.inflate(DEFLATED, 3072)).toEqual(Buffer.from(NOISE));
  expect(NODE_ZLIB.inflate(DEFLATED, 3071)).toBeUndefined();
  expect(NODE_ZLIB.inflate(FOLLOWED, 100)).toBeUndefined();
  expect(NODE_ZLIB.inflate(DAMAGED, 3072)).toBeUndefined();
});
