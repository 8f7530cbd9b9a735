import { describe, expect, it } from 'vitest';
import { encodeNpy } from '../../../serve/answer/activation-bytes.ts';
import { parseNpy } from '../../../shared/client/npy-array.ts';

/** A file of NumPy with any header: `np.save` writes the same bytes for the same header. */
function makeFile(header: string, values: readonly number[]): Uint8Array<ArrayBuffer> {
  const text = `${header}\n`;
  const bytes = new Uint8Array(10 + text.length + values.length * 4);
  bytes.set([0x93, ...new TextEncoder().encode('NUMPY'), 1, 0, text.length % 256, text.length >> 8]);
  bytes.set(new TextEncoder().encode(text), 10);
  bytes.set(new Uint8Array(Float32Array.from(values).buffer), 10 + text.length);
  return bytes;
}

const HEADER = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }";

describe('parseNpy', () => {
  it.each([[[2, 3, 4]], [[512]], [[1]]])('reads the array of shape %j that the server writes, bit for bit', (shape) => {
    const count = shape.reduce((product, size) => product * size, 1);
    const values = Float32Array.from({ length: count }, (_, index) => Math.fround(Math.sin(index) * 1e-3));
    expect(parseNpy(encodeNpy({ shape, values }).buffer)).toEqual({ shape, values });
  });

  it('reads values that begin anywhere', () => {
    for (const padding of ['', ' ', '  ', '   ']) {
      expect(parseNpy(makeFile(HEADER + padding, [1.5, -2]).buffer).values).toEqual(Float32Array.of(1.5, -2));
    }
  });

  it.each([
    ['nothing', new Uint8Array(0), /got 0 bytes that are no NPY file/],
    ['another magic', makeFile(HEADER, [1, 2]).with(0, 0x92), /no NPY file/],
    ['version 2.0', makeFile(HEADER, [1, 2]).with(6, 2), /no NPY file of version 1\.0/],
    ['float64', makeFile(HEADER.replace('<f4', '<f8'), [1, 2]), /not of float32 in C order/],
    ['Fortran order', makeFile(HEADER.replace('False', 'True'), [1, 2]), /not of float32 in C order/],
    ['a header that is cut short', makeFile(HEADER, []).slice(0, 40), /not of float32 in C order/],
    ['a value too few', makeFile(HEADER, [1]), /got 4 bytes of values; 2, 1 values of float32 have 8/],
    ['a value too many', makeFile(HEADER, [1, 2, 3]), /got 12 bytes/],
    ['a byte too many', Uint8Array.of(...makeFile(HEADER, [1, 2]), 0), /got 9 bytes/],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => parseNpy(bytes.slice().buffer)).toThrow(message);
  });
});
