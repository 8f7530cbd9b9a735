/** The kinds of picture that are read, by their first bytes. */

export type ImageType = 'png' | 'jpeg' | 'webp';

/** Enough of a file to tell. */
export const SIGNATURE_BYTES = 16;

/** Undefined: none of them. */
export function findImageType(bytes: Uint8Array): ImageType | undefined {
  const start = String.fromCharCode(...bytes.subarray(0, SIGNATURE_BYTES));
  if (start.startsWith('\x89PNG')) return 'png';
  if (start.startsWith('\xff\xd8\xff')) return 'jpeg';
  if (start.startsWith('RIFF') && start.slice(8, 12) === 'WEBP') return 'webp';
  return undefined;
}
