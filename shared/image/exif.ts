/**
 * The one fact of EXIF that matters here: how the camera was held. A bounded reader of the first TIFF directory.
 * Metadata that cannot be read count as "upright", as in every viewer: they describe the picture and are not part of it.
 */

/** 1 upright; 2 mirrored; 3 upside down; 4 flipped; 5 to 8 the same with rows and columns exchanged. */
export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;

const ORIENTATION_TAG = 0x0112;
const TYPE_SHORT = 3;
const ENTRY_BYTES = 12;
const EXIF_PREFIX = 'Exif\0\0';

/** What stands in a JPEG's APP1 segment or a WebP's EXIF chunk, with or without its prefix. */
export function readExifOrientation(data: Uint8Array): Orientation {
  return readTiffOrientation(hasExifPrefix(data) ? data.subarray(EXIF_PREFIX.length) : data);
}

/** Tells EXIF from the other things that APP1 segments hold. */
export function hasExifPrefix(data: Uint8Array): boolean {
  return String.fromCharCode(...data.subarray(0, EXIF_PREFIX.length)) === EXIF_PREFIX;
}

export function readTiffOrientation(data: Uint8Array): Orientation {
  if (data.length < 8) return 1;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const byteOrder = view.getUint16(0);
  if (byteOrder !== 0x4949 && byteOrder !== 0x4d4d) return 1;
  const isLittleEndian = byteOrder === 0x4949;
  if (view.getUint16(2, isLittleEndian) !== 42) return 1;

  const directory = view.getUint32(4, isLittleEndian);
  if (directory + 2 > data.length) return 1;
  const entries = view.getUint16(directory, isLittleEndian);
  for (let index = 0; index < entries; index++) {
    const entry = directory + 2 + index * ENTRY_BYTES;
    if (entry + ENTRY_BYTES > data.length) return 1;
    if (view.getUint16(entry, isLittleEndian) !== ORIENTATION_TAG) continue;
    if (view.getUint16(entry + 2, isLittleEndian) !== TYPE_SHORT) return 1;
    if (view.getUint32(entry + 4, isLittleEndian) !== 1) return 1;
    const value = view.getUint16(entry + 8, isLittleEndian);
    return value >= 1 && value <= 8 ? (value as Orientation) : 1;
  }
  return 1;
}
