import { expect, test, vi } from 'vitest';
import { readLabelledImages, type LabelledImage } from '../../../serve/request/labelled-images.ts';
import { makeTemporaryFolder } from '../../support/temporary-folder.ts';
import { writeTinyModel } from '../../support/tiny-model.ts';

const MEBIBYTE = 1024 * 1024;

async function readLines(chunks: Iterable<Uint8Array<ArrayBuffer>>): Promise<LabelledImage[]> {
  const source = chunks[Symbol.iterator]();
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      const { value, done } = source.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
  });
  const init = { method: 'POST', headers: { 'content-type': 'application/x-ndjson' }, body, duplex: 'half' };
  const request = new Request('http://app.test/evaluate', init);
  const manifest = await writeTinyModel(await makeTemporaryFolder());
  const limits = { images: 10, bytes: 16 * MEBIBYTE, running: 1 };
  const images: LabelledImage[] = [];
  for await (const image of readLabelledImages(request, { manifest, limits })) images.push(image);
  return images;
}

function toLine(file: Uint8Array, label: number): string {
  return JSON.stringify({ image: Buffer.from(file).toString('base64'), label });
}

test.each([1, 7, 1000])('lines are the same wherever chunks of %d bytes cut them', async (size) => {
  const files = [Uint8Array.of(1, 2, 3), Uint8Array.from({ length: 3000 }, (_, index) => index % 251)];
  const text = `\n${files.map((file, index) => `${toLine(file, index)}\r\n \n`).join('')}${toLine(Uint8Array.of(4), 2)}`;
  const bytes = Buffer.from(text);
  const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) =>
    Uint8Array.from(bytes.subarray(index * size, (index + 1) * size)),
  );
  expect(await readLines(chunks)).toEqual([
    { input: { file: files[0] }, label: 0, index: 0 },
    { input: { file: files[1] }, label: 1, index: 1 },
    { input: { file: Uint8Array.of(4) }, label: 2, index: 2 },
  ]);
});

test('a long line that goes on in chunks of one byte is not copied for each of them', async () => {
  const file = new Uint8Array(MEBIBYTE).fill(7);
  const line = Uint8Array.from(Buffer.from(toLine(file, 1)));
  const chunks = [line.subarray(0, -300), ...Array.from(line.subarray(-300), (byte) => Uint8Array.of(byte))];
  const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array;
  const copy = vi.spyOn(typedArray, 'set');
  const [image] = await readLines(chunks);
  const copiedBytes = copy.mock.calls.reduce((sum, [source]) => sum + source.length, 0);
  copy.mockRestore();
  expect(image).toEqual({ input: { file }, label: 1, index: 0 });
  expect(copiedBytes).toBeLessThan(4 * line.length);
});
