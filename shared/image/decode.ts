/**
 * From a file's bytes to RGB pixels, the same on every platform: the guard, then the decoder of the type, then the
 * orientation. It runs without node: or browser APIs; the decoders' WebAssembly modules are handed in, since Workers
 * may not compile code at run time. Colour profiles are ignored: the numbers in the file are taken as sRGB.
 */
import { PICTURE_LIMITS } from '../limits.ts';
import mozjpegDecoder from '@jsquash/jpeg/codec/dec/mozjpeg_dec.js';
import webpDecoder from '@jsquash/webp/codec/dec/webp_dec.js';

import { ProductError } from '../errors.ts';
import { composeOverWhite, makeOpaque } from './compose.ts';
import type { Orientation } from './exif.ts';
import type { Picture } from './fit.ts';
import { corruptJpeg, inspectJpeg, truncatedJpeg } from './jpeg-segments.ts';
import { orientPicture } from './orient.ts';
import { decodePng } from './png-decode.ts';
import type { ImageType } from './signature.ts';
import { type ImageHeader, readImageHeader } from './sniff.ts';
import { createWasmCodec, type EmscriptenFactory, type WasmCodec } from './wasm-codec.ts';
import type { ZlibAtOnce } from './zlib-at-once.ts';
import { corruptWebp, inspectWebp } from './webp-chunks.ts';

export interface DecoderModules {
  /** @jsquash/jpeg/codec/dec/mozjpeg_dec.wasm */
  jpeg: WebAssembly.Module;
  /** @jsquash/webp/codec/dec/webp_dec.wasm */
  webp: WebAssembly.Module;
  /** Small PNG files are read sooner with it. */
  zlib?: ZlibAtOnce;
}

export interface DecodedImage {
  width: number;
  height: number;
  /** [height, width, 3] uint8 RGB, row-major; alpha composed over white, EXIF orientation applied */
  pixels: Uint8Array<ArrayBuffer>;
  type: ImageType;
}

export interface ImageLimits {
  maxBytes: number;
  maxPixels: number;
}

/** At these a decoder's memory stays, beside the model's, within the 128 MB of a Worker. */
export const IMAGE_LIMITS: ImageLimits = {
  maxBytes: PICTURE_LIMITS.bytes,
  maxPixels: PICTURE_LIMITS.pixels,
};

export interface ImageDecoder {
  /**
   * What `use` makes of the picture, whose pixels may lie in a decoder's memory: they are valid during the call only, which
   * must not wait. A picture of 4 megapixels is never copied as a whole.
   *
   * Errors   as of `decode`, and those of `use`
   */
  use<Result>(bytes: Uint8Array, use: (image: DecodedImage) => Result): Promise<Result>;
  /**
   * Errors   'image/empty', 'image/too-large', 'image/unknown-type', 'image/too-many-pixels', 'image/unsupported',
   *          'image/truncated', 'image/corrupt'. A refused file has no effect on the next one.
   */
  decode(bytes: Uint8Array): Promise<DecodedImage>;
}

export function createImageDecoder(modules: DecoderModules, limits: ImageLimits = IMAGE_LIMITS): ImageDecoder {
  const jpeg = createWasmCodec({
    factory: mozjpegDecoder as EmscriptenFactory,
    wasm: modules.jpeg,
    decodeArguments: [false],
    isReused: true,
  });
  const webp = createWasmCodec({
    factory: webpDecoder as EmscriptenFactory,
    wasm: modules.webp,
    decodeArguments: [],
    // jSquash 1.5 has the libwebp of November 2020, in which a lossless picture can overwrite the decoder's memory
    // (CVE-2023-4863): what one picture does there must not meet the next one.
    isReused: false,
  });
  const decoder: ImageDecoder = {
    async use(bytes, use) {
      const header = guardImage(bytes, limits);
      const useStored = ({ orientation, ...picture }: StoredPicture) =>
        use({ ...orientPicture(picture, orientation), type: header.type });
      return decodeStored(bytes, { header, jpeg, webp, zlib: modules.zlib }, useStored);
    },
    decode: (bytes) => decoder.use(bytes, (image) => ({ ...image, pixels: image.pixels.slice() })),
  };
  return decoder;
}

/** Everything that can be refused before a decoder runs. */
function guardImage(bytes: Uint8Array, { maxBytes, maxPixels }: ImageLimits): ImageHeader {
  if (bytes.length > maxBytes) {
    throw new ProductError(
      'image/too-large',
      `got ${bytes.length} bytes; at most ${maxBytes} are expected; scale the picture down`,
      { details: { maxBytes } },
    );
  }
  const header = readImageHeader(bytes);
  const { width, height } = header;
  if (width * height > maxPixels) {
    throw new ProductError(
      'image/too-many-pixels',
      `got ${width} x ${height} = ${width * height} pixels; at most ${maxPixels} are expected; scale the picture down`,
      { details: { maxPixels, width, height } },
    );
  }
  return header;
}

type StoredPicture = Picture & { orientation: Orientation };

interface StoredOptions {
  header: ImageHeader;
  jpeg: WasmCodec;
  webp: WasmCodec;
  zlib: ZlibAtOnce | undefined;
}

type UseStored<Result> = (picture: StoredPicture) => Result;

async function decodeStored<Result>(
  bytes: Uint8Array,
  { header, jpeg, webp, zlib }: StoredOptions,
  use: UseStored<Result>,
): Promise<Result> {
  // Of the decoders one at most keeps the memory of a large picture: it is reused by the next of its type.
  if (header.type !== 'jpeg') jpeg.shrink();
  if (header.type !== 'webp') webp.shrink();
  switch (header.type) {
    case 'png':
      return use(await decodePng(bytes, zlib));
    case 'jpeg':
      return decodeJpeg(bytes, { header, codec: jpeg }, use);
    case 'webp':
      return decodeWebp(bytes, { header, codec: webp }, use);
  }
}

interface CodecOptions {
  header: ImageHeader;
  codec: WasmCodec;
}

async function decodeJpeg<Result>(
  bytes: Uint8Array,
  { header, codec }: CodecOptions,
  use: UseStored<Result>,
): Promise<Result> {
  const { orientation } = inspectJpeg(bytes);
  const { result, remarks } = await codec.decode(bytes, ({ data, width, height }) => {
    if (width !== header.width || height !== header.height) return undefined;
    return { value: use({ width, height, pixels: composeOverWhite(data), orientation }) };
  });
  // libjpeg fills what it cannot read with grey and only remarks on it (the first time per file).
  const said = remarks.join('; ');
  if (remarks.some((line) => line.startsWith('Premature end'))) {
    throw truncatedJpeg(bytes, `in its image data (${said})`);
  }
  if (remarks.some((line) => line.startsWith('Corrupt JPEG data') && !line.includes('extraneous bytes'))) {
    throw corruptJpeg(said);
  }
  if (result === undefined) throw corruptJpeg(said || 'its image data do not fit its header');
  return result.value;
}

async function decodeWebp<Result>(
  bytes: Uint8Array,
  { header, codec }: CodecOptions,
  use: UseStored<Result>,
): Promise<Result> {
  const { orientation, hasAlpha, file } = inspectWebp(bytes);
  const { result } = await codec.decode(file, ({ data, width, height }) => {
    if (width !== header.width || height !== header.height) return undefined;
    // A picture that says it is opaque is shown so, whatever its decoded alpha: as in browsers and Pillow.
    if (!hasAlpha) makeOpaque(data);
    return { value: use({ width, height, pixels: composeOverWhite(data), orientation }) };
  });
  if (result === undefined) throw corruptWebp('its image data cannot be decoded');
  return result.value;
}
