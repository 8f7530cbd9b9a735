/**
 * What a file is, from its first bytes only: its type and its size in pixels. Never from a file name or a declared
 * content type. Nothing is decoded and nothing is allocated, so this is the guard before every decoder. It reads only
 * as far as the size stands; whether the rest is there and sound is for the decoder of the type.
 */
import { ProductError } from '../errors.ts';
import { readJpegHeader } from './jpeg-segments.ts';
import { readPngHeader } from './png-chunks.ts';
import { findImageType, SIGNATURE_BYTES, type ImageType } from './signature.ts';
import { readWebpHeader } from './webp-chunks.ts';

export interface ImageHeader {
  type: ImageType;
  /** As stored: EXIF orientations 5 to 8 exchange width and height later. */
  width: number;
  height: number;
}

const EXPECTED = 'PNG, JPEG or WebP expected';

/**
 * Type and stored size of an image, both sides at least 1.
 *
 * Errors   'image/empty', 'image/unknown-type' (names the type where it is a well-known one), 'image/truncated' (the
 *          size is not there yet), 'image/corrupt', 'image/unsupported' (a variant that no decoder here can read)
 */
export function readImageHeader(bytes: Uint8Array): ImageHeader {
  if (bytes.length === 0) throw new ProductError('image/empty', `got no bytes; ${EXPECTED}; send the file's content`);
  const type = sniffType(bytes);
  const { width, height } = readSize(type, bytes);
  if (width === 0 || height === 0) {
    throw new ProductError(
      'image/corrupt',
      `got a ${type.toUpperCase()} of ${width} x ${height} pixels; both sides must be at least 1; save the picture again`,
    );
  }
  return { type, width, height };
}

function readSize(type: ImageType, bytes: Uint8Array): { width: number; height: number } {
  switch (type) {
    case 'png':
      return readPngHeader(bytes);
    case 'jpeg':
      return readJpegHeader(bytes);
    case 'webp':
      return readWebpHeader(bytes);
  }
}

function sniffType(bytes: Uint8Array): ImageType {
  const type = findImageType(bytes);
  if (type !== undefined) return type;
  const start = latin1(bytes, 0, SIGNATURE_BYTES);
  if (/^(?:\xef\xbb\xbf)?\s*[{[]\s*["{[\]}]/.test(start)) {
    throw new ProductError(
      'image/unknown-type',
      `got a JSON text; ${EXPECTED}; a picture in JSON is for /classify/json`,
    );
  }
  const foreign = nameForeignType(start, bytes);
  throw new ProductError(
    'image/unknown-type',
    foreign === undefined
      ? `got ${bytes.length} bytes that are no known kind of image; ${EXPECTED}`
      : `got ${foreign}; ${EXPECTED}; convert it`,
  );
}

function nameForeignType(start: string, bytes: Uint8Array): string | undefined {
  if (/^GIF8[79]a/.test(start)) return 'a GIF';
  if (start.startsWith('BM')) return 'a BMP';
  if (start.startsWith('II*\0') || start.startsWith('MM\0*')) return 'a TIFF';
  if (start.startsWith('\xff\x0a') || start.startsWith('\0\0\0\x0cJXL ')) return 'a JPEG XL';
  if (start.startsWith('\0\0\0\x0cjP  ')) return 'a JPEG 2000';
  if (start.startsWith('%PDF')) return 'a PDF';
  if (start.slice(4, 8) === 'ftyp') {
    const brand = start.slice(8, 12);
    if (brand === 'avif' || brand === 'avis') return 'an AVIF';
    if (/^(?:hei[cxms]|hev[cxms]|mif1|msf1)$/.test(brand)) return 'a HEIC';
    return 'an MP4 or a relative of it';
  }
  if (/^(?:\xef\xbb\xbf)?\s*</.test(start)) {
    return /<svg[\s>]/i.test(latin1(bytes, 0, 1024)) ? 'an SVG' : 'an HTML or XML text';
  }
  return undefined;
}

function latin1(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(start, end));
}
