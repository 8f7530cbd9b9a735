import { expect, test } from 'vitest';
import { decodeBase64, readFiles } from '../../../serve/request/request-body.ts';

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
