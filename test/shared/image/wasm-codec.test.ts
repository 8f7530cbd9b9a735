import { readFileSync } from 'node:fs';
import webpDecoder from '@jsquash/webp/codec/dec/webp_dec.js';
import { expect, test } from 'vitest';
import { createWasmCodec, type EmscriptenFactory } from '../../../shared/image/wasm-codec.ts';
import { findFixture } from '../../contract/api-client.ts';

test.each([
  [true, 1],
  [false, 3],
])('with isReused %s, three sound pictures take %d instances', async (isReused, expected) => {
  const wasm = new WebAssembly.Module(readFileSync('node_modules/@jsquash/webp/codec/dec/webp_dec.wasm'));
  let started = 0;
  const factory: EmscriptenFactory = (options) => {
    started += 1;
    return (webpDecoder as EmscriptenFactory)(options);
  };
  const codec = createWasmCodec({ factory, wasm, decodeArguments: [], isReused });
  const { file, width } = findFixture('WebP lossless');
  for (let round = 0; round < 3; round++) {
    expect((await codec.decode(file, (picture) => picture.width)).result).toBe(width);
  }
  expect(started).toBe(expected);
});
