/** A layer's values for programs: as an array file of NumPy, and as bytes for drawing on a screen. */
import { extentOf, isVector, sizesOf, toByte, type LayerValues } from './layer-values.ts';
import { ProductError } from '../../shared/errors.ts';

const NPY_MAGIC = [0x93, ...new TextEncoder().encode('NUMPY'), 1, 0];
/** Magic, version and header length fill these bytes; header and all of them a multiple of 64. */
const NPY_PREFIX_BYTES = 10;
const NPY_ALIGNMENT = 64;

/** NPY version 1.0, float32 little-endian, C order. Format: numpy.lib.format. */
export function encodeNpy({ shape, values }: LayerValues): Uint8Array<ArrayBuffer> {
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${sizes}), }`;
  const headerBytes =
    Math.ceil((NPY_PREFIX_BYTES + text.length + 1) / NPY_ALIGNMENT) * NPY_ALIGNMENT - NPY_PREFIX_BYTES;
  const start = NPY_PREFIX_BYTES + headerBytes;
  const bytes = new Uint8Array(start + values.length * Float32Array.BYTES_PER_ELEMENT);
  const view = new DataView(bytes.buffer);
  bytes.set(NPY_MAGIC);
  view.setUint16(NPY_MAGIC.length, headerBytes, true);
  bytes.set(new TextEncoder().encode(`${text.padEnd(headerBytes - 1)}\n`), NPY_PREFIX_BYTES);
  writeFloats(view, start, values);
  return bytes;
}

/**
 * First each channel's least and greatest value, float32 little-endian [channels, 2]; then the values, uint8 [channels,
 * height, width], 0 for the least and 255 for the greatest value of their channel.
 *
 * Errors   'request/invalid' for a layer of features, which have no scale of their own
 */
export function encodeAtlas(layer: LayerValues): { bytes: Uint8Array<ArrayBuffer>; shape: number[] } {
  if (isVector(layer)) {
    throw new ProductError(
      'request/invalid',
      'an atlas scales each channel by itself, and the channels of this layer are single values; ask for format=npy or json',
    );
  }
  const { values, shape } = layer;
  const { height, width, channels, places } = sizesOf(shape);
  const extents = Array.from({ length: channels }, (_, channel) =>
    extentOf(values, { first: channel, step: channels }),
  );
  const extentBytes = channels * 2 * Float32Array.BYTES_PER_ELEMENT;
  const bytes = new Uint8Array(extentBytes + channels * places);
  writeFloats(new DataView(bytes.buffer), 0, Float32Array.from(extents.flatMap(({ min, max }) => [min, max])));
  extents.forEach((extent, channel) => {
    for (let place = 0; place < places; place++) {
      bytes[extentBytes + channel * places + place] = toByte(values[place * channels + channel] as number, extent);
    }
  });
  return { bytes, shape: [channels, height, width] };
}

function writeFloats(view: DataView, start: number, values: Float32Array): void {
  values.forEach((value, index) => view.setFloat32(start + index * Float32Array.BYTES_PER_ELEMENT, value, true));
}
