import { expect, test } from 'vitest';
import { countFormParts } from '../../../serve/request/form-parts.ts';

async function count(
  body: string,
  chunkSize: number,
  options: { boundary: string; maxParts: number },
): Promise<string> {
  const bytes = new TextEncoder().encode(body);
  async function* cut(): AsyncGenerator<Uint8Array> {
    for (let start = 0; start < bytes.length; start += chunkSize) yield bytes.subarray(start, start + chunkSize);
  }
  let text = '';
  for await (const chunk of countFormParts(cut(), options)) {
    text += new TextDecoder().decode(chunk);
  }
  return text;
}

const BODY = `--x-x\r\n\r\na-----b\r\n`.repeat(4) + '--x-x--\r\n';

test.each([1, 2, 3, 4, 5, 7, 16, 1000])('delimiters are counted wherever chunks of %d bytes cut them', async (size) => {
  expect(await count(BODY, size, { boundary: 'x-x', maxParts: 5 })).toBe(BODY);
  await expect(count(BODY, size, { boundary: 'x-x', maxParts: 4 })).rejects.toMatchObject({
    code: 'request/too-many-files',
  });
});

test.each([
  ['-', '-'.repeat(30), 10],
  ['--a', '-----a------a', 2],
  ['aab', '--aa--aaab--aab', 1],
])('a boundary %j that repeats itself is counted as it is there', async (boundary, body, delimiters) => {
  expect(await count(body, 3, { boundary, maxParts: delimiters })).toBe(body);
  await expect(count(body, 3, { boundary, maxParts: delimiters - 1 })).rejects.toThrow('parts');
});
