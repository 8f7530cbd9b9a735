/**
 * JPEG as a row of marker segments: size, kind, orientation, and whether the file is whole. The entropy-coded data
 * between the segments are skipped here and decoded elsewhere. Source: ITU-T T.81, annex B.
 */
import { ProductError } from '../errors.ts';
import { hasExifPrefix, type Orientation, readExifOrientation } from './exif.ts';

const EOI = 0xd9;
const SOS = 0xda;
const APP1 = 0xe1;
/** Conditions arithmetic coding: no file that can be read here has one, and decoders differ in what they make of it. */
const DAC = 0xcc;

/** Frame headers; the number tells the process. */
const FRAME_NAMES: Readonly<Record<number, string>> = {
  0xc0: 'baseline',
  0xc1: 'extended',
  0xc2: 'progressive',
  0xc3: 'lossless',
  0xc5: 'hierarchical',
  0xc6: 'hierarchical',
  0xc7: 'hierarchical',
  0xc9: 'arithmetic-coded',
  0xca: 'arithmetic-coded',
  0xcb: 'arithmetic-coded',
  0xcd: 'hierarchical',
  0xce: 'hierarchical',
  0xcf: 'hierarchical',
};
const READABLE_FRAMES: ReadonlySet<number> = new Set([0xc0, 0xc1, 0xc2]);

/** Cameras and editors write about 10. Each scan costs a walk over the whole picture, and a scan may be 20 bytes. */
const MAX_SCANS = 64;

interface Segment {
  marker: number;
  /** A view of the file's bytes, without marker and length. */
  data: Uint8Array;
}

/**
 * Size as stored, from the frame header.
 *
 * Errors   'image/truncated', 'image/corrupt', and 'image/unsupported' for CMYK, 12 bits and the rare processes
 */
export function readJpegHeader(bytes: Uint8Array): { width: number; height: number } {
  for (const { marker, data } of readSegments(bytes)) {
    const process = FRAME_NAMES[marker];
    if (process !== undefined) return readFrame(data, { marker, process });
    if (marker === SOS || marker === EOI) break;
  }
  throw corruptJpeg('it has no frame header, so no size');
}

/**
 * Walks through the whole file. Bytes behind the end marker are not looked at: phones put films and depth maps there.
 *
 * Errors   'image/truncated' (no end marker), 'image/corrupt' (no picture in it, two frames),
 *          'image/unsupported' (arithmetic coding, more scans than any camera or editor writes)
 */
export function inspectJpeg(bytes: Uint8Array): { orientation: Orientation } {
  let orientation: Orientation | undefined;
  let frames = 0;
  let scans = 0;
  for (const { marker, data } of readSegments(bytes)) {
    if (marker === APP1 && orientation === undefined && hasExifPrefix(data)) orientation = readExifOrientation(data);
    if (FRAME_NAMES[marker] !== undefined) frames++;
    if (marker === SOS) scans++;
    if (marker === DAC) throw unsupportedJpeg('it is arithmetic-coded; save it as baseline or progressive');
    if (scans > MAX_SCANS) {
      throw unsupportedJpeg(`it has more than ${MAX_SCANS} scans; save it again with an ordinary program`);
    }
  }
  if (frames !== 1 || scans === 0) throw corruptJpeg(`it has ${frames} frames and ${scans} scans`);
  return { orientation: orientation ?? 1 };
}

function readFrame(data: Uint8Array, { marker, process }: { marker: number; process: string }) {
  if (!READABLE_FRAMES.has(marker)) throw unsupportedJpeg(`it is ${process}; save it as baseline or progressive`);
  if (data.length < 6) throw corruptJpeg('its frame header is too short');
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const precision = view.getUint8(0);
  const components = view.getUint8(5);
  if (precision !== 8) throw unsupportedJpeg(`it has ${precision} bits per sample; save it with 8`);
  if (components === 4) throw unsupportedJpeg('it has the four colours of print (CMYK); save it as RGB');
  if (components !== 1 && components !== 3) throw unsupportedJpeg(`it has ${components} components; save it as RGB`);
  return { height: view.getUint16(1), width: view.getUint16(3) };
}

/** Segments from SOI (not told) to EOI. What stands between them, entropy-coded data or padding, is skipped. */
function* readSegments(bytes: Uint8Array): Generator<Segment> {
  let offset = 2;
  for (;;) {
    const at = bytes.indexOf(0xff, offset);
    const marker = bytes[at + 1];
    if (at === -1 || marker === undefined) throw truncatedJpeg(bytes, 'before its end marker (EOI)');
    if (marker === 0xff) {
      offset = at + 1;
    } else if (marker === 0x00 || marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7)) {
      // A stuffed 0xff of entropy-coded data, TEM, or a restart marker.
      offset = at + 2;
    } else if (marker === EOI) {
      yield { marker, data: bytes.subarray(at + 2, at + 2) };
      return;
    } else {
      const length = ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
      offset = at + 2 + length;
      if (at + 4 > bytes.length || offset > bytes.length) throw truncatedJpeg(bytes, 'inside a segment');
      if (length < 2 || marker === 0xd8) throw corruptJpeg(`no segment begins at byte ${at}`);
      yield { marker, data: bytes.subarray(at + 4, offset) };
    }
  }
}

export function corruptJpeg(reason: string): ProductError {
  return new ProductError('image/corrupt', `got a damaged JPEG: ${reason}; a sound file is expected; save it again`);
}

export function truncatedJpeg(bytes: Uint8Array, where: string): ProductError {
  return new ProductError(
    'image/truncated',
    `got a JPEG that stops after ${bytes.length} bytes, ${where}; the whole file is expected; send it again`,
  );
}

function unsupportedJpeg(reason: string): ProductError {
  return new ProductError('image/unsupported', `got a JPEG that cannot be read here: ${reason}`);
}
