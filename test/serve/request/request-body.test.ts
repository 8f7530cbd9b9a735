import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { decodeBase64, readBody, readFiles } from '../../../serve/request/request-body.ts';

test.each(['', 'data:image/png;base64,', 'data:image/PNG;BASE64,', 'DATA:;Base64,'])(
  'base64 after "%s" is its bytes',
  (prefix) => {
    expect(decodeBase64(`${prefix}AQID`)).toEqual(Uint8Array.of(1, 2, 3));
  },
);

test('a form is parsed while it arrives, and its files are read when they are asked for', async () => {
  const form = new FormData();
  form.append('file', new Blob([Uint8Array.of(1, 2)]), 'a.png');
  form.append('file', new Blob([Uint8Array.of(3)]), 'b.png');
  const files = await readFiles(new Request('http://app.test/', { method: 'POST', body: form }), { maxFiles: 2 });
  expect(files.map(({ name, size }) => [name, size])).toEqual([
    ['a.png', 2],
    ['b.png', 1],
  ]);
});

test('a body in chunks of one byte is held as its bytes, not as its chunks', async () => {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const LENGTH = 3000;
  const chunks: WeakRef<Uint8Array>[] = [];
  let held = 0;
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      async pull(controller) {
        if (chunks.length === LENGTH) {
          // What is weakly held lives until the end of the job that made it.
          await new Promise((resolve) => setTimeout(resolve));
          collectGarbage();
          held = chunks.filter((chunk) => chunk.deref() !== undefined).length;
          return controller.close();
        }
        const chunk = Uint8Array.of(chunks.length % 251);
        chunks.push(new WeakRef(chunk));
        controller.enqueue(chunk);
      },
    },
    { highWaterMark: 0 },
  );
  const bytes = await readBody({ body }, { maxBytes: LENGTH, code: 'request/too-large' });
  expect(bytes).toEqual(Uint8Array.from({ length: LENGTH }, (_, index) => index % 251));
  expect(held).toBeLessThan(10);
});

test('the parts of a form are counted by the boundary that the parser takes', async () => {
  const boundary = '-'.repeat(26) + 'real-one';
  const part = `--${boundary}\r\ncontent-disposition: form-data; name="f"; filename="f"\r\n\r\n\r\n`;
  const read = (contentType: string, parts: number): Promise<File[]> => {
    const body = `${part.repeat(parts)}--${boundary}--\r\n`;
    const headers = { 'content-type': contentType };
    return readFiles(new Request('http://app.test/', { method: 'POST', headers, body }), { maxFiles: 1 });
  };
  for (const contentType of [
    `multipart/form-data; x=";boundary=abc"; boundary=${boundary}`,
    `multipart/form-data; x="\\";boundary=abc; y=\\""; boundary="${boundary}"`,
    `Multipart/Form-Data;BOUNDARY="${boundary.replace('real', '\\real')}";charset=utf-8;`,
  ]) {
    await expect(read(contentType, 100), contentType).rejects.toThrow('got a form of more than 17 parts');
    expect((await read(contentType, 1)).length, contentType).toBe(1);
  }
});
