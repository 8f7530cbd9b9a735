/** The picture whose decoding takes most: 2048 x 2048, progressive, colours as fine as brightness (4:4:4). */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import factory from '@jsquash/jpeg/codec/enc/mozjpeg_enc.js';
import { defaultOptions } from '@jsquash/jpeg/meta.js';
import { createRandom } from '../../train/random.ts';

const SIDE = 2048;

type Encoder = { encode: (data: Uint8Array, width: number, height: number, options: object) => Uint8Array };
type EncoderFactory = (options: object) => Promise<Encoder>;

export async function encodeLargeJpeg(): Promise<Uint8Array<ArrayBuffer>> {
  const file = fileURLToPath(import.meta.resolve('@jsquash/jpeg/codec/enc/mozjpeg_enc.wasm'));
  const wasm = new WebAssembly.Module(await readFile(file));
  const { encode } = await (factory as unknown as EncoderFactory)({
    noInitialRun: true,
    locateFile: (path: string) => path,
    instantiateWasm(imports: WebAssembly.Imports, receive: (instance: WebAssembly.Instance) => void) {
      const instance = new WebAssembly.Instance(wasm, imports);
      receive(instance);
      return instance.exports;
    },
  });
  const random = createRandom(1);
  const pixels = new Uint8Array(SIDE * SIDE * 4);
  for (let pixel = 0; pixel < SIDE * SIDE; pixel++) {
    const noise = random.next() * 24 - 12;
    const slope = 48 + ((pixel % SIDE) / SIDE) * 160;
    pixels.set([slope + noise, slope - noise, 255 - slope + noise / 2, 255], pixel * 4);
  }
  const options = {
    ...defaultOptions,
    quality: 75,
    progressive: true,
    trellis_loops: 1,
    auto_subsample: false,
    chroma_subsample: 1,
  };
  return Uint8Array.from(encode(pixels, SIDE, SIDE, options));
}
