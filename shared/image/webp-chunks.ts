/**
 * WebP as a row of RIFF chunks: size, animation, orientation, and whether the file is whole. Decoding is elsewhere.
 * Source: RFC 9649, section 2.
 */
import { ProductError } from '../errors.ts';
import { type Orientation, readExifOrientation } from './exif.ts';

const FIRST_CHUNK_OFFSET = 12;
const CHUNK_HEADER_BYTES = 8;
const ANIMATION_FLAG = 0x02;
const EXIF_FLAG = 0x08;

interface Size {
  width: number;
  height: number;
}

interface Frame extends Size {
  /** `undefined` for a lossy picture: its alpha, if it has any, is a chunk of its own. */
  isTransparent: boolean | undefined;
}

export interface WebpContent {
  orientation: Orientation;
  /** Whether the file says that there is transparency. */
  hasAlpha: boolean;
  /** The file up to the end of its picture: libwebp would read on into the chunks behind a damaged one. */
  file: Uint8Array;
}

interface Chunk {
  name: string;
  /** A view of the file's bytes: the content as far as it is there. */
  data: Uint8Array;
}

/** Size from the first chunk. Errors: 'image/truncated', 'image/corrupt', 'image/unsupported' (animated). */
export function readWebpHeader(bytes: Uint8Array): Size {
  const { name, data } = readChunk(bytes, FIRST_CHUNK_OFFSET);
  if (name === 'VP8X') {
    if (data.length < 10) throw truncatedWebp(bytes);
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    if ((view.getUint8(0) & ANIMATION_FLAG) !== 0) throw animatedWebp();
    return { width: readUint24(view, 4) + 1, height: readUint24(view, 7) + 1 };
  }
  const frame = readFrame({ name, data }, bytes);
  if (frame === undefined) throw corruptWebp(`its first chunk is ${JSON.stringify(name)}`);
  return frame;
}

/**
 * Walks through the whole file. Bytes behind the RIFF container are not looked at, nor what stands behind a picture that
 * is the first chunk: other chunks belong to the extended format only.
 *
 * Errors   'image/truncated', 'image/corrupt' (no picture in it, more than one, chunks out of order, or a picture of
 *          another size than the header's), 'image/unsupported' (animated)
 */
export function inspectWebp(bytes: Uint8Array): WebpContent {
  const announced = readWebpHeader(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = CHUNK_HEADER_BYTES + view.getUint32(4, true);
  if (end > bytes.length) throw truncatedWebp(bytes);

  let flags: number | undefined;
  let orientation: Orientation = 1;
  let hasAlphaChunk = false;
  let found: { frame: Frame; endsAt: number } | undefined;
  for (const { name, data, endsAt } of readChunks(bytes, end)) {
    if (name === 'ANIM' || name === 'ANMF') throw animatedWebp();
    const frame = readFrame({ name, data }, bytes);
    if (name === 'VP8X') {
      if (flags !== undefined) throw corruptWebp('it has two headers');
      flags = data[0] ?? 0;
    } else if (name === 'ALPH') {
      if (hasAlphaChunk || found !== undefined) throw corruptWebp('a chunk ALPH does not stand before the picture');
      hasAlphaChunk = true;
    } else if (name === 'EXIF') {
      if (((flags ?? 0) & EXIF_FLAG) !== 0) orientation = readExifOrientation(data);
    } else if (frame !== undefined) {
      if (found !== undefined) throw corruptWebp('it has two pictures');
      if (hasAlphaChunk && frame.isTransparent !== undefined) throw corruptWebp('a lossless picture has a chunk ALPH');
      found = { frame, endsAt };
      if (flags === undefined) break;
    }
  }
  if (found === undefined) throw corruptWebp('there is no picture in it');
  const { frame, endsAt } = found;
  if (frame.width !== announced.width || frame.height !== announced.height) {
    throw corruptWebp(
      `its header says ${announced.width} x ${announced.height} and its picture ${frame.width} x ${frame.height}`,
    );
  }
  return { orientation, hasAlpha: frame.isTransparent ?? hasAlphaChunk, file: cutBehind(bytes, { endsAt, end }) };
}

/** All chunks up to `end`, with where the next one begins. Errors: 'image/corrupt'. */
function* readChunks(bytes: Uint8Array, end: number): Generator<Chunk & { endsAt: number }> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = FIRST_CHUNK_OFFSET;
  while (offset + CHUNK_HEADER_BYTES <= end) {
    const chunk = readChunk(bytes, offset);
    const sizeBytes = view.getUint32(offset + 4, true);
    offset += CHUNK_HEADER_BYTES + sizeBytes;
    if (offset > end) throw corruptWebp(`a chunk ${chunk.name} does not fit in`);
    // Some encoders leave the padding of the last chunk out.
    offset = Math.min(end, offset + (sizeBytes & 1));
    yield { ...chunk, endsAt: offset };
  }
}

/** The same file without the chunks between `endsAt` and its `end`. */
function cutBehind(bytes: Uint8Array, { endsAt, end }: { endsAt: number; end: number }): Uint8Array {
  if (endsAt === end) return bytes;
  const cut = bytes.slice(0, endsAt);
  new DataView(cut.buffer).setUint32(4, endsAt - CHUNK_HEADER_BYTES, true);
  return cut;
}

/** What the first bytes of a lossy or lossless picture say; undefined for any other chunk. */
function readFrame({ name, data }: Chunk, bytes: Uint8Array): Frame | undefined {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  if (name === 'VP8 ') {
    if (data.length < 10) throw truncatedWebp(bytes);
    if ((view.getUint8(0) & 1) !== 0 || readUint24(view, 3) !== 0x2a019d) throw corruptWebp('it has no key frame');
    return {
      width: view.getUint16(6, true) & 0x3fff,
      height: view.getUint16(8, true) & 0x3fff,
      isTransparent: undefined,
    };
  }
  if (name === 'VP8L') {
    if (data.length < 5) throw truncatedWebp(bytes);
    if (view.getUint8(0) !== 0x2f) throw corruptWebp('its lossless picture has no signature');
    const bits = view.getUint32(1, true);
    return {
      width: (bits & 0x3fff) + 1,
      height: ((bits >>> 14) & 0x3fff) + 1,
      isTransparent: ((bits >>> 28) & 1) === 1,
    };
  }
  return undefined;
}

function readChunk(bytes: Uint8Array, offset: number): Chunk {
  const content = offset + CHUNK_HEADER_BYTES;
  if (content > bytes.length) throw truncatedWebp(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    name: String.fromCharCode(...bytes.subarray(offset, offset + 4)),
    data: bytes.subarray(content, content + view.getUint32(offset + 4, true)),
  };
}

function readUint24(view: DataView, offset: number): number {
  return view.getUint16(offset, true) | (view.getUint8(offset + 2) << 16);
}

export function corruptWebp(reason: string): ProductError {
  return new ProductError('image/corrupt', `got a damaged WebP: ${reason}; a sound file is expected; save it again`);
}

function truncatedWebp(bytes: Uint8Array): ProductError {
  return new ProductError(
    'image/truncated',
    `got a WebP that stops after ${bytes.length} bytes, before its end; the whole file is expected; send it again`,
  );
}

function animatedWebp(): ProductError {
  return new ProductError(
    'image/unsupported',
    'got an animated WebP; a still picture is expected; save one frame of it as PNG, JPEG or WebP',
  );
}
