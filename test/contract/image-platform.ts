/**
 * shared/image/ as functions that may be far away: called directly in Node and workerd, through the DevTools protocol in
 * a browser. Nothing here knows which.
 */
import { ProductError } from '../../shared/errors.ts';
import type { ErrorCode } from '../../shared/errors.ts';
import { createImageDecoder } from '../../shared/image/decode.ts';
import type { DecodedImage, DecoderModules, ImageDecoder, ImageLimits } from '../../shared/image/decode.ts';
import { fitToSquare } from '../../shared/image/fit.ts';
import type { Picture } from '../../shared/image/fit.ts';
import { encodePng } from '../../shared/image/png-encode.ts';
import type { PngPicture } from '../../shared/image/png-encode.ts';
import { readImageHeader } from '../../shared/image/sniff.ts';
import type { ImageHeader } from '../../shared/image/sniff.ts';
import { decodeInputToken, encodeInputToken } from '../../shared/image/token.ts';

/** What became of a file: its size and the sha256 of its pixels and of the 32 x 32 of them, or why it was refused. */
export type FileOutcome = { width: number; height: number; pixels: string; input: string } | { code: ErrorCode };

export interface ImagePlatform {
  /** With the one decoder of the platform, or with limits of its own with a new one. */
  decode(bytes: Uint8Array, limits?: ImageLimits): Promise<DecodedImage>;
  /** One after the other with the one decoder of the platform. Any error but a ProductError is thrown on. */
  processAll(files: readonly Uint8Array[]): Promise<FileOutcome[]>;
  readHeader(bytes: Uint8Array): Promise<ImageHeader>;
  fit(picture: Picture, size: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Both in one call: the pixels of a large picture stay where they are. */
  decodeAndFit(bytes: Uint8Array, size: number): Promise<Uint8Array<ArrayBuffer>>;
  encodeToken(pixels: Uint8Array): Promise<string>;
  decodeToken(token: string, expectedLength: number): Promise<Uint8Array>;
  encodePng(picture: PngPicture): Promise<Uint8Array>;
  globalNames(): Promise<string[]>;
}

/** The functions of the process that this runs in. */
export function createLocalPlatform(modules: DecoderModules): ImagePlatform {
  const decoder = createImageDecoder(modules);
  return {
    decode: (bytes, limits) => (limits === undefined ? decoder : createImageDecoder(modules, limits)).decode(bytes),
    async processAll(files) {
      const outcomes: FileOutcome[] = [];
      for (const file of files) outcomes.push(await processFile(decoder, file));
      return outcomes;
    },
    readHeader: async (bytes) => readImageHeader(bytes),
    fit: async (picture, size) => fitToSquare(picture, size),
    decodeAndFit: async (bytes, size) => fitToSquare(await decoder.decode(bytes), size),
    encodeToken: encodeInputToken,
    decodeToken: decodeInputToken,
    encodePng,
    globalNames: async () => Object.getOwnPropertyNames(globalThis),
  };
}

async function processFile(decoder: ImageDecoder, file: Uint8Array): Promise<FileOutcome> {
  try {
    const picture = await decoder.decode(file);
    const { width, height, pixels } = picture;
    if (pixels.length !== width * height * 3) throw new Error(`${pixels.length} values for ${width} x ${height}`);
    return { width, height, pixels: await hashHex(pixels), input: await hashHex(fitToSquare(picture, 32)) };
  } catch (error) {
    if (error instanceof ProductError) return { code: error.code };
    throw error;
  }
}

export async function hashHex(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
