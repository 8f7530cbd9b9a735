/** Reading the array files that the API gives for a layer: NPY version 1.0 of float32. Format: numpy.lib.format. */

export interface NpyArray {
  shape: readonly number[];
  /** Row-major; a copy. */
  values: Float32Array<ArrayBuffer>;
}

const MAGIC = [0x93, ...new TextEncoder().encode('NUMPY')];
const VERSION = [1, 0];
/** Magic, version and the length of the header, uint16. */
const PREFIX_BYTES = 10;
const HEADER = /^\{'descr': '<f4', 'fortran_order': False, 'shape': \((\d+(?:, \d+)*),?\), \} *\n$/;

/** Throws an Error that says what is wrong with the file: the server promises none but these. */
export function parseNpy(buffer: ArrayBuffer): NpyArray {
  const bytes = new Uint8Array(buffer);
  if (bytes.length < PREFIX_BYTES || [...MAGIC, ...VERSION].some((byte, index) => bytes[index] !== byte)) {
    throw new Error(`got ${bytes.length} bytes that are no NPY file of version 1.0`);
  }
  const start = PREFIX_BYTES + new DataView(buffer).getUint16(PREFIX_BYTES - 2, true);
  // A header that is cut short has no line end.
  const header = new TextDecoder('latin1').decode(bytes.subarray(PREFIX_BYTES, start));
  const sizes = HEADER.exec(header)?.[1];
  if (sizes === undefined) throw new Error(`got an NPY header that is not of float32 in C order: ${header}`);
  const shape = sizes.split(', ').map(Number);
  const expectedBytes = shape.reduce((product, size) => product * size, Float32Array.BYTES_PER_ELEMENT);
  if (bytes.length - start !== expectedBytes) {
    throw new Error(`got ${bytes.length - start} bytes of values; ${sizes} values of float32 have ${expectedBytes}`);
  }
  // Sliced because a view must begin at a multiple of four; every platform of browsers is little-endian, as the file.
  return { shape, values: new Float32Array(buffer.slice(start)) };
}
