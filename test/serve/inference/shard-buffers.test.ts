import { expect, test } from 'vitest';
import type { AssetSource } from '../../../serve/asset-source.ts';
import { ShardBuffers } from '../../../serve/inference/shard-buffers.ts';

async function readShard(buffers: ShardBuffers, path: string): Promise<Uint8Array> {
  const shard = await buffers.read(path);
  if (shard === undefined) throw new Error(`no shard ${path}`);
  return shard;
}

const read: AssetSource['read'] = async (path) => new TextEncoder().encode(path);

test('a shard that is given back is freed at once where nothing can be read into it', async () => {
  const buffers = new ShardBuffers({ read });
  const shard = await readShard(buffers, 'first');
  expect(new TextDecoder().decode(shard)).toBe('first');
  buffers.giveBack(shard);
  expect(shard.byteLength).toBe(0);
});

test('a shard that is given back is read into again, and freed when nothing more is read', async () => {
  const taken: ArrayBuffer[] = [];
  const buffers = new ShardBuffers({
    read,
    async readInto(path, buffer) {
      taken.push(buffer);
      // As the platform does: the memory goes on in another buffer.
      const { read: length } = new TextEncoder().encodeInto(path, new Uint8Array(buffer));
      return new Uint8Array(buffer.transfer(), 0, length);
    },
  });
  const first = await readShard(buffers, 'first');
  const second = await readShard(buffers, 'second');
  expect(new TextDecoder().decode(first)).toBe('first');
  expect(second.buffer).not.toBe(first.buffer);
  const { buffer } = first;
  buffers.giveBack(first);
  const third = await readShard(buffers, 'third');
  expect(taken[2]).toBe(buffer);
  expect(new TextDecoder().decode(third)).toBe('third');
  buffers.giveBack(second);
  buffers.giveBack(third);
  expect(third.byteLength).toBe(5);
  buffers.clear();
  expect([second.byteLength, third.byteLength]).toEqual([0, 0]);
});
