/** Array files and pictures of layers, opened by programs that are not ours: NumPy and Pillow. */
import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { encodeAtlas, encodeNpy } from '../../../serve/answer/activation-bytes.ts';
import { drawChannels } from '../../../serve/answer/activation-view.ts';
import { encodePng } from '../../../shared/image/png-encode.ts';
import { describeWithPython } from '../../support/requirements.ts';
import { makeTemporaryFolder } from '../../support/temporary-folder.ts';

/** Two by three places, two channels. */
const LAYER = { shape: [2, 3, 2], values: Float32Array.from([0, -1, 1, 1, 2, 3, 3, -0.5, 4, 1e-38, 5, 0.1]) };
const FEATURES = { shape: [3], values: Float32Array.of(1.5, -2, 0.1) };

describe('encodeAtlas', () => {
  test('gives each channel its own scale, and the scale', () => {
    const { bytes, shape } = encodeAtlas(LAYER);
    expect(shape).toEqual([2, 2, 3]);
    const view = new DataView(bytes.buffer);
    expect([0, 4, 8, 12].map((at) => view.getFloat32(at, true))).toEqual([0, 5, -1, 3]);
    expect([...bytes.subarray(16)]).toEqual([0, 51, 102, 153, 204, 255, 0, 128, 255, 32, 64, 70]);
  });

  test('draws a flat channel as zeros', () => {
    expect([...encodeAtlas({ shape: [1, 2, 1], values: Float32Array.of(7, 7) }).bytes.subarray(8)]).toEqual([0, 0]);
  });

  test('refuses features by name', () => {
    expect(() => encodeAtlas(FEATURES)).toThrow(/single values; ask for format=npy or json/);
  });
});

describe('encodeNpy', () => {
  test('aligns the numbers to 64 bytes', () => {
    const bytes = encodeNpy(LAYER);
    const headerBytes = new DataView(bytes.buffer).getUint16(8, true);
    expect((10 + headerBytes) % 64).toBe(0);
    expect(bytes[10 + headerBytes - 1]).toBe(10);
    expect(bytes.length).toBe(10 + headerBytes + 12 * 4);
  });
});

describeWithPython('NumPy and Pillow', () => {
  test.each([LAYER, FEATURES])('an array of $shape is read by NumPy with its values', async (layer) => {
    const { shape, order, type, values } = await inPython(
      encodeNpy(layer),
      `a = numpy.load(path)\nout = {'shape': a.shape, 'order': bool(a.flags['C_CONTIGUOUS']), 'type': str(a.dtype), 'values': a.ravel().astype(float).tolist()}`,
    );
    expect({ shape, order, type }).toEqual({ shape: layer.shape, order: true, type: 'float32' });
    expect(values).toEqual([...layer.values]);
  });

  test('a picture is read by Pillow with its pixels', async () => {
    const picture = drawChannels(LAYER, { channels: [1, 0], range: 'channel', scale: 2 });
    const { mode, size, pixels } = await inPython(
      await encodePng(picture),
      `i = Image.open(path)\ni.load()\nout = {'mode': i.mode, 'size': i.size, 'pixels': list(i.tobytes())}`,
    );
    expect({ mode, size }).toEqual({ mode: 'L', size: [13, 4] });
    const [first, second] = [
      [0, 0, 128, 128, 255, 255, 128, 0, 0, 51, 51, 102, 102],
      [32, 32, 64, 64, 70, 70, 128, 153, 153, 204, 204, 255, 255],
    ];
    expect(pixels).toEqual([...first, ...first, ...second, ...second]);
  });
});

/** Runs `program`, which reads the file at `path` and sets `out`. */
async function inPython(bytes: Uint8Array, program: string): Promise<Record<string, unknown>> {
  const path = join(await makeTemporaryFolder(), 'file');
  await writeFile(path, bytes);
  const source = `import json, sys, numpy\nfrom PIL import Image\npath = sys.argv[1]\n${program}\nprint(json.dumps(out))`;
  return JSON.parse(execFileSync('python3', ['-c', source, path], { encoding: 'utf8' })) as Record<string, unknown>;
}
