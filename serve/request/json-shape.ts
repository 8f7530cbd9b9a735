/**
 * How deep and how large the value of a JSON text would be, told from its bytes: parsing `[[[[...` or `{},{},...` of a few
 * megabytes takes hundreds, so it is refused before. Whether the text is JSON at all is the parser's matter.
 */
import { API_LIMITS } from '../../shared/api.ts';
import { ProductError } from '../../shared/errors.ts';

const QUOTE = '"'.charCodeAt(0);
const BACKSLASH = '\\'.charCodeAt(0);
const COLON = ':'.charCodeAt(0);
/** A square and a curly bracket differ in this bit only. */
const CURLY = 0x20;
const OPENING = '{'.charCodeAt(0);
const CLOSING = '}'.charCodeAt(0);

/** Errors: 'request/too-complex'. */
export function checkJsonShape(text: Uint8Array): void {
  const { jsonDepth, jsonContainers, jsonFields } = API_LIMITS;
  let depth = 0;
  let containers = 0;
  let fields = 0;
  for (let place = 0; place < text.length; place++) {
    const byte = text[place] ?? 0;
    if (byte === QUOTE) {
      place = findEndOfString(text, place);
    } else if ((byte | CURLY) === OPENING) {
      depth += 1;
      containers += 1;
      if (depth > jsonDepth) refuse(`nested more than ${jsonDepth} deep`, 'send it flatter');
      if (containers > jsonContainers) refuse(`of more than ${jsonContainers} lists and objects`, 'send less');
    } else if ((byte | CURLY) === CLOSING) {
      depth -= 1;
    } else if (byte === COLON) {
      fields += 1;
      if (fields > jsonFields) refuse(`of more than ${jsonFields} fields`, 'send less');
    }
  }
}

/** The place of the closing quote; the end of the text where there is none. */
function findEndOfString(text: Uint8Array, start: number): number {
  let end = text.indexOf(QUOTE, start + 1);
  while (end !== -1 && isEscaped(text, end)) end = text.indexOf(QUOTE, end + 1);
  return end === -1 ? text.length : end;
}

function isEscaped(text: Uint8Array, place: number): boolean {
  let backslashes = 0;
  while (text[place - 1 - backslashes] === BACKSLASH) backslashes += 1;
  return backslashes % 2 === 1;
}

function refuse(what: string, advice: string): never {
  const { jsonDepth, jsonContainers, jsonFields } = API_LIMITS;
  throw new ProductError('request/too-complex', `got JSON ${what}; ${advice}`, {
    details: { jsonDepth, jsonContainers, jsonFields },
  });
}
