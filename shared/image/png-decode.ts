/**
 * PNG pixels: every colour type, bit depth and interlacing of the standard, to 8-bit RGB over white. Inflating is the
 * platform's; rows are unfiltered and painted as they come, so the inflated data are never held as a whole.
 *
 * Of an animated PNG the default image is taken, which is what a decoder without animation shows. Colour profiles and
 * gamma are ignored, as for the other types. 16-bit samples are rounded, not cut, to 8 bits.
 * Source: W3C, Portable Network Graphics (Third Edition), sections 7 to 9 and 11.
 */
import { composeByteOverWhite } from './compose.ts';
import { type Orientation, readTiffOrientation } from './exif.ts';
import type { Picture } from './fit.ts';
import { inflate } from './inflate.ts';
import type { ZlibAtOnce } from './zlib-at-once.ts';
import { corruptPng, type PngHeader, readPngChunks, readPngHeader, unsupportedPng } from './png-chunks.ts';

/** Samples of a pixel by colour type. */
const SAMPLES = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 } as const;

/** A PNG is one pass over all pixels, or seven over every dx-th column of every dy-th row. */
interface Pass {
  left: number;
  top: number;
  dx: number;
  dy: number;
}

const WHOLE: readonly Pass[] = [{ left: 0, top: 0, dx: 1, dy: 1 }];
const ADAM7: readonly Pass[] = [
  { left: 0, top: 0, dx: 8, dy: 8 },
  { left: 4, top: 0, dx: 8, dy: 8 },
  { left: 0, top: 4, dx: 4, dy: 8 },
  { left: 2, top: 0, dx: 4, dy: 4 },
  { left: 0, top: 2, dx: 2, dy: 4 },
  { left: 1, top: 0, dx: 2, dy: 2 },
  { left: 0, top: 1, dx: 1, dy: 2 },
];

/** The chunks that matter, in one place. */
interface PngParts {
  imageData: Uint8Array[];
  palette: Uint8Array | undefined;
  transparency: Uint8Array | undefined;
  orientation: Orientation;
}

/**
 * The caller has checked the size in the header. The orientation is told, not applied.
 *
 * Errors   'image/truncated' (the file ends before IEND), 'image/corrupt' (checksum, order of chunks, filter, palette,
 *          deflate, or more or less image data than the size asks for), 'image/unsupported' (unknown critical chunk)
 */
export async function decodePng(bytes: Uint8Array, zlib?: ZlibAtOnce): Promise<Picture & { orientation: Orientation }> {
  const header = readPngHeader(bytes);
  const { imageData, palette, transparency, orientation } = collectParts(bytes);
  const { width, height } = header;
  const pixels = new Uint8Array(width * height * 3);
  const rows = rowsOf(header);
  const paintRow = makeRowPainter({ header, palette, transparency, pixels });
  const bitsPerPixel = header.bitDepth * SAMPLES[header.colorType];
  const filterStride = Math.max(1, bitsPerPixel >> 3);

  let row = rows.next().value;
  let current = new Uint8Array(row === undefined ? 0 : row.bytes);
  let previous = new Uint8Array(current.length);
  let filter: number | undefined;
  let filled = 0;

  const outcome = await inflate({
    parts: imageData,
    zlib,
    expectedBytes: countImageBytes(header),
    write(piece) {
      let offset = 0;
      while (offset < piece.length && row !== undefined) {
        if (filter === undefined) {
          filter = piece[offset++] as number;
          if (filter > 4) throw corruptPng(`a row has the unknown filter ${filter}`);
          continue;
        }
        const taken = Math.min(piece.length - offset, current.length - filled);
        current.set(piece.subarray(offset, offset + taken), filled);
        offset += taken;
        filled += taken;
        if (filled < current.length) continue;

        unfilterRow({ filter, current, previous, stride: filterStride });
        paintRow(current, row);
        const next = rows.next().value;
        if (next !== undefined && next.pass === row.pass) [previous, current] = [current, previous];
        else {
          current = new Uint8Array(next === undefined ? 0 : next.bytes);
          previous = new Uint8Array(current.length);
        }
        row = next;
        filter = undefined;
        filled = 0;
      }
    },
  });
  switch (outcome) {
    case 'complete':
      return { width, height, pixels, orientation };
    case 'short':
      throw corruptPng(`it has too little image data for ${width} x ${height} pixels`);
    case 'long':
      throw corruptPng(`it has more image data than ${width} x ${height} pixels take`);
    case 'broken':
      throw corruptPng('its compressed image data are damaged');
  }
}

/** The chunks that make the picture must stand where the standard has them: decoders differ in what they make of others. */
function collectParts(bytes: Uint8Array): PngParts {
  const parts: PngParts = { imageData: [], palette: undefined, transparency: undefined, orientation: 1 };
  let previous = '';
  for (const { name, data } of readPngChunks(bytes)) {
    const hasBegun = parts.imageData.length > 0;
    switch (name) {
      case 'IDAT':
        if (hasBegun && previous !== 'IDAT') throw corruptPng(`a chunk ${previous} stands between its image data`);
        parts.imageData.push(data);
        break;
      case 'PLTE':
        if (parts.palette !== undefined) throw corruptPng('it has two palettes');
        if (hasBegun) throw corruptPng('its palette stands behind its image data');
        if (data.length === 0 || data.length > 768 || data.length % 3 !== 0) {
          throw corruptPng(`its palette has ${data.length} bytes`);
        }
        parts.palette = data;
        break;
      case 'tRNS':
        if (parts.transparency !== undefined) throw corruptPng('it has two tRNS chunks');
        if (hasBegun) throw corruptPng('its tRNS chunk stands behind its image data');
        parts.transparency = data;
        break;
      case 'eXIf':
        parts.orientation = readTiffOrientation(data);
        break;
      case 'IHDR':
        if (previous !== '') throw corruptPng('it has two headers');
        break;
      case 'IEND':
        break;
      default:
        // A capital first letter says that the picture cannot be understood without this chunk.
        if (name.charCodeAt(0) < 97) throw unsupportedPng(`it needs the unknown chunk ${name}`);
    }
    previous = name;
  }
  return parts;
}

interface Row {
  pass: Pass;
  y: number;
  /** Pixels of this row, and their bytes without the filter byte. */
  width: number;
  bytes: number;
}

/** All rows in the order of the image data; interlaced passes without pixels have none. */
function* rowsOf(header: PngHeader): Generator<Row, undefined> {
  const bitsPerPixel = header.bitDepth * SAMPLES[header.colorType];
  for (const pass of header.isInterlaced ? ADAM7 : WHOLE) {
    const width = Math.ceil((header.width - pass.left) / pass.dx);
    if (width <= 0) continue;
    const bytes = Math.ceil((width * bitsPerPixel) / 8);
    for (let y = pass.top; y < header.height; y += pass.dy) yield { pass, y, width, bytes };
  }
  return undefined;
}

function countImageBytes(header: PngHeader): number {
  let total = 0;
  for (const row of rowsOf(header)) total += 1 + row.bytes;
  return total;
}

interface UnfilterOptions {
  filter: number;
  /** The row as stored; becomes the row as meant. */
  current: Uint8Array;
  /** The row above of the same pass, zeros for the first. */
  previous: Uint8Array;
  /** Bytes to the corresponding byte of the pixel to the left. */
  stride: number;
}

function unfilterRow({ filter, current, previous, stride }: UnfilterOptions): void {
  const { length } = current;
  if (filter === 1) {
    for (let i = stride; i < length; i++) current[i] = (current[i] as number) + (current[i - stride] as number);
  } else if (filter === 2) {
    for (let i = 0; i < length; i++) current[i] = (current[i] as number) + (previous[i] as number);
  } else if (filter === 3) {
    for (let i = 0; i < length; i++) {
      const left = i < stride ? 0 : (current[i - stride] as number);
      current[i] = (current[i] as number) + ((left + (previous[i] as number)) >> 1);
    }
  } else if (filter === 4) {
    for (let i = 0; i < length; i++) {
      const left = i < stride ? 0 : (current[i - stride] as number);
      const corner = i < stride ? 0 : (previous[i - stride] as number);
      current[i] = (current[i] as number) + predictPaeth(left, previous[i] as number, corner);
    }
  }
}

function predictPaeth(left: number, above: number, corner: number): number {
  const toLeft = Math.abs(above - corner);
  const toAbove = Math.abs(left - corner);
  const toCorner = Math.abs(left + above - 2 * corner);
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}

interface PainterOptions {
  header: PngHeader;
  palette: Uint8Array | undefined;
  transparency: Uint8Array | undefined;
  /** [height, width, 3], written row by row */
  pixels: Uint8Array;
}

type RowPainter = (samples: Uint8Array, row: Row) => void;

function makeRowPainter(options: PainterOptions): RowPainter {
  const { bitDepth, colorType, isInterlaced, width } = options.header;
  if (colorType === 2 && bitDepth === 8 && !isInterlaced && options.transparency === undefined) {
    // The most common kind has its rows already as they are wanted.
    return (samples, { y }) => options.pixels.set(samples, y * width * 3);
  }
  if (colorType === 3 || (colorType === 0 && bitDepth <= 8)) return makeTablePainter(options);
  return makeSamplePainter(options);
}

/** One sample of at most 8 bits per pixel: its colour over white stands in a table. */
function makeTablePainter({ header, palette, transparency, pixels }: PainterOptions): RowPainter {
  const { bitDepth } = header;
  const colors = header.colorType === 3 ? tablePalette(palette, transparency) : tableGreys(bitDepth, transparency);
  const knownColors = colors.length / 3;
  const mask = (1 << bitDepth) - 1;
  return function paintTableRow(samples, { pass, y, width }) {
    let target = (y * header.width + pass.left) * 3;
    for (let x = 0; x < width; x++, target += pass.dx * 3) {
      const bit = x * bitDepth;
      const sample = ((samples[bit >> 3] as number) >> (8 - bitDepth - (bit & 7))) & mask;
      if (sample >= knownColors) throw corruptPng(`a pixel has colour ${sample} of a palette of ${knownColors}`);
      pixels[target] = colors[sample * 3] as number;
      pixels[target + 1] = colors[sample * 3 + 1] as number;
      pixels[target + 2] = colors[sample * 3 + 2] as number;
    }
  };
}

function tablePalette(palette: Uint8Array | undefined, transparency: Uint8Array | undefined): Uint8Array {
  if (palette === undefined) throw corruptPng('it has no palette');
  return palette.map((value, index) => composeByteOverWhite(value, transparency?.[Math.floor(index / 3)] ?? 255));
}

function tableGreys(bitDepth: number, transparency: Uint8Array | undefined): Uint8Array {
  const [transparent] = readTransparentColor(transparency, 1);
  const largest = (1 << bitDepth) - 1;
  const colors = new Uint8Array((largest + 1) * 3);
  for (let sample = 0; sample <= largest; sample++) {
    colors.fill(sample === transparent ? 255 : (sample * 255) / largest, sample * 3, sample * 3 + 3);
  }
  return colors;
}

/** Whole samples of 8 or 16 bits; grey ones are spread to red, green and blue. */
function makeSamplePainter({ header, transparency, pixels }: PainterOptions): RowPainter {
  const { bitDepth, colorType } = header;
  const sampleCount = SAMPLES[colorType];
  const hasAlpha = colorType === 4 || colorType === 6;
  const isGrey = colorType === 0 || colorType === 4;
  const [clearRed, clearGreen, clearBlue] = hasAlpha ? [] : readTransparentColor(transparency, isGrey ? 1 : 3);
  const isDeep = bitDepth === 16;
  const readSample = isDeep
    ? (samples: Uint8Array, index: number) => ((samples[index * 2] as number) << 8) | (samples[index * 2 + 1] as number)
    : (samples: Uint8Array, index: number) => samples[index] as number;

  return function paintSampleRow(samples, { pass, y, width }) {
    let target = (y * header.width + pass.left) * 3;
    for (let x = 0; x < width; x++, target += pass.dx * 3) {
      const first = x * sampleCount;
      let red = readSample(samples, first);
      let green = isGrey ? red : readSample(samples, first + 1);
      let blue = isGrey ? red : readSample(samples, first + 2);
      let alpha = hasAlpha ? readSample(samples, first + sampleCount - 1) : isDeep ? 65535 : 255;
      if (red === clearRed && (isGrey || (green === clearGreen && blue === clearBlue))) alpha = 0;
      if (isDeep) {
        red = roundToByte(red);
        green = roundToByte(green);
        blue = roundToByte(blue);
        alpha = roundToByte(alpha);
      }
      pixels[target] = composeByteOverWhite(red, alpha);
      pixels[target + 1] = composeByteOverWhite(green, alpha);
      pixels[target + 2] = composeByteOverWhite(blue, alpha);
    }
  };
}

/** tRNS without an alpha channel or palette: the one colour that is transparent, at full depth; [] if there is none. */
function readTransparentColor(transparency: Uint8Array | undefined, samples: 1 | 3): number[] {
  if (transparency === undefined) return [];
  if (transparency.length !== samples * 2) throw corruptPng(`its tRNS chunk has ${transparency.length} bytes`);
  const view = new DataView(transparency.buffer, transparency.byteOffset, transparency.byteLength);
  return Array.from({ length: samples }, (_, index) => view.getUint16(index * 2));
}

/** round(value / 257), the nearest of 256 levels. */
function roundToByte(value: number): number {
  return (value * 255 + 32895) >> 16;
}
