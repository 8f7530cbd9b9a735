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
import { type ImageHeader, type ImageType, readImageHeader } from './sniff.ts';
import { createWasmCodec, type EmscriptenFactory, type WasmCodec } from './wasm-codec.ts';
import { corruptWebp, inspectWebp } from './webp-chunks.ts';

export interface DecoderModules {
  /** @jsquash/jpeg/codec/dec/mozjpeg_dec.wasm */
  jpeg: WebAssembly.Module;
  /** @jsquash/webp/codec/dec/webp_dec.wasm */
  webp: WebAssembly.Module;
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
  return {
    async decode(bytes) {
      const header = guardImage(bytes, limits);
      const { orientation, ...picture } = await decodeStored(bytes, { header, jpeg, webp });
      return { ...orientPicture(picture, orientation), type: header.type };
    },
  };
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
}

function decodeStored(bytes: Uint8Array, { header, jpeg, webp }: StoredOptions): Promise<StoredPicture> {
  switch (header.type) {
    case 'png':
      return decodePng(bytes);
    case 'jpeg':
      return decodeJpeg(bytes, { header, codec: jpeg });
    case 'webp':
      return decodeWebp(bytes, { header, codec: webp });
  }
}

interface CodecOptions {
  header: ImageHeader;
  codec: WasmCodec;
}

async function decodeJpeg(bytes: Uint8Array, { header, codec }: CodecOptions): Promise<StoredPicture> {
  const { orientation } = inspectJpeg(bytes);
  const { picture, remarks } = await codec.decode(bytes);
  // libjpeg fills what it cannot read with grey and only remarks on it (the first time per file).
  const said = remarks.join('; ');
  if (remarks.some((line) => line.startsWith('Premature end'))) {
    throw truncatedJpeg(bytes, `in its image data (${said})`);
  }
  if (remarks.some((line) => line.startsWith('Corrupt JPEG data') && !line.includes('extraneous bytes'))) {
    throw corruptJpeg(said);
  }
  if (picture?.width !== header.width || picture.height !== header.height) {
    throw corruptJpeg(said || 'its image data do not fit its header');
  }
  return { width: picture.width, height: picture.height, pixels: composeOverWhite(picture.data), orientation };
}

async function decodeWebp(bytes: Uint8Array, { header, codec }: CodecOptions): Promise<StoredPicture> {
  const { orientation, hasAlpha, file } = inspectWebp(bytes);
  const { picture } = await codec.decode(file);
  if (picture?.width !== header.width || picture.height !== header.height) {
    throw corruptWebp('its image data cannot be decoded');
  }
  // A picture that says it is opaque is shown so, whatever its decoded alpha: as in browsers and Pillow.
  if (!hasAlpha) makeOpaque(picture.data);
  return { width: picture.width, height: picture.height, pixels: composeOverWhite(picture.data), orientation };
}
