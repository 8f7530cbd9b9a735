/**
 * The input token: a model's input as text for a URL, so that the server need not remember pictures. It is the picture
 * itself, not a secret: one format character, then zlib, then base64url without padding. Its checksum tells a damaged
 * token from a good one.
 */
import { ProductError } from '../errors.ts';
import { inflate } from './inflate.ts';
import type { ZlibAtOnce } from './zlib-at-once.ts';

/** Stands first and names everything that follows; another encoding gets another character. */
const FORMAT = '1';
const BASE64URL = /^[A-Za-z0-9_-]+$/;

/** pixels [height, width, 3] uint8 -> token. Equal pixels give equal tokens on one version of one platform. */
export async function encodeInputToken(pixels: Uint8Array, zlib?: ZlibAtOnce): Promise<string> {
  const deflated = zlib?.deflate(pixels) ?? (await deflate(pixels));
  let text = '';
  for (const byte of deflated) text += String.fromCharCode(byte);
  return FORMAT + btoa(text).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

async function deflate(bytes: Uint8Array): Promise<Uint8Array> {
  const stream = new Blob([bytes.slice()]).stream().pipeThrough(new CompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * token -> pixels, exactly `expectedLength` of them.
 *
 * Errors   'token/invalid': other format, no base64url, damaged, bytes behind the end, another number of pixels
 */
export async function decodeInputToken(token: string, expectedLength: number): Promise<Uint8Array<ArrayBuffer>> {
  if (!token.startsWith(FORMAT)) throw invalidToken(`it does not start with "${FORMAT}"`);
  if (token.length > longestToken(expectedLength)) throw invalidToken(`it has ${token.length} characters`);
  const deflated = decodeBase64Url(token.slice(FORMAT.length));
  const pixels = new Uint8Array(expectedLength);
  let filled = 0;
  const outcome = await inflate({
    parts: [deflated],
    expectedBytes: expectedLength,
    write(piece) {
      pixels.set(piece, filled);
      filled += piece.length;
    },
  });
  switch (outcome) {
    case 'complete':
      return pixels;
    case 'short':
      throw invalidToken(`it holds ${filled} values and the model takes ${expectedLength}`);
    case 'long':
      throw invalidToken(`it holds more than the ${expectedLength} values that the model takes`);
    case 'broken':
      throw invalidToken('its content is damaged');
  }
}

/** Deflate adds at most 5 bytes per block; no encoder makes blocks so small that an eighth would not hold them. */
function longestToken(expectedLength: number): number {
  return FORMAT.length + Math.ceil(((expectedLength * 9) / 8 + 64) * (4 / 3));
}

function decodeBase64Url(text: string): Uint8Array {
  if (!BASE64URL.test(text) || text.length % 4 === 1) throw invalidToken('it is not base64url');
  const decoded = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(decoded, (character) => character.charCodeAt(0));
}

function invalidToken(reason: string): ProductError {
  return new ProductError(
    'token/invalid',
    `the input token cannot be read: ${reason}; a token from the answer of /classify is expected; classify the picture again`,
  );
}
