/** Counting the parts of a form while it arrives: the parser makes an object of each, however small it is. */
import { ProductError } from '../../shared/errors.ts';

interface CountOptions {
  /** Without the dashes before it. */
  boundary: string;
  maxParts: number;
}

/** Hands on all chunks. Errors: 'request/too-many-files', and those of `chunks`. */
export async function* countFormParts(
  chunks: AsyncIterable<Uint8Array>,
  { boundary, maxParts }: CountOptions,
): AsyncGenerator<Uint8Array> {
  const counter = createCounter(new TextEncoder().encode(`--${boundary}`));
  for await (const chunk of chunks) {
    if (counter(chunk) > maxParts) {
      throw new ProductError('request/too-many-files', `got a form of more than ${maxParts} parts; send fewer files`, {
        details: { maxParts },
      });
    }
    yield chunk;
  }
}

/**
 * How often the word was in all chunks so far, also across their seams. The caller chooses both, so each byte is looked at
 * once (Knuth, Morris and Pratt 1977): a word of dashes in a body of dashes costs no more than any other.
 */
function createCounter(word: Uint8Array): (chunk: Uint8Array) => number {
  const shorter = findBorders(word);
  const [first = 0] = word;
  let matched = 0;
  let count = 0;
  return (chunk) => {
    for (let place = 0; place < chunk.length; place++) {
      if (matched === 0) {
        place = chunk.indexOf(first, place);
        if (place === -1) break;
      }
      const byte = chunk[place];
      while (matched > 0 && word[matched] !== byte) matched = shorter[matched - 1] ?? 0;
      if (word[matched] === byte) matched += 1;
      if (matched < word.length) continue;
      count += 1;
      matched = 0;
    }
    return count;
  };
}

/** For each beginning of the word: how long its longest beginning is that is also its end. */
function findBorders(word: Uint8Array): Uint16Array {
  const borders = new Uint16Array(word.length);
  for (let place = 1, length = 0; place < word.length; place++) {
    while (length > 0 && word[place] !== word[length]) length = borders[length - 1] ?? 0;
    if (word[place] === word[length]) length += 1;
    borders[place] = length;
  }
  return borders;
}
