/** The forms of an activation, and which of them an Accept header prefers. */
import { ProductError } from '../shared/errors.ts';

/** By preference where the caller has none. */
export const ACTIVATION_MEDIA_TYPES = {
  json: 'application/json',
  png: 'image/png',
  npy: 'application/x-npy',
  atlas: 'application/octet-stream',
} as const;

export type ActivationFormat = keyof typeof ACTIVATION_MEDIA_TYPES;

export const ACTIVATION_FORMATS = Object.keys(ACTIVATION_MEDIA_TYPES) as [ActivationFormat, ...ActivationFormat[]];

/**
 * The form of the greatest quality (RFC 9110, 12.5.1); JSON where the caller does not care, as curl does not.
 *
 * Errors   'request/not-acceptable' when every form has quality 0
 */
export function negotiateFormat(accept: string | undefined): ActivationFormat {
  if (accept === undefined || accept.trim() === '') return 'json';
  const ranges = accept.split(',').map(parseRange);
  const qualities = ACTIVATION_FORMATS.map((format) => qualityOf(ACTIVATION_MEDIA_TYPES[format], ranges));
  const best = Math.max(...qualities);
  const format = ACTIVATION_FORMATS[qualities.indexOf(best)];
  if (best > 0 && format !== undefined) return format;
  const offers = Object.values(ACTIVATION_MEDIA_TYPES);
  throw new ProductError(
    'request/not-acceptable',
    `Accept is "${accept}"; one of ${offers.join(', ')} is expected; or say format=${ACTIVATION_FORMATS.join(', ')}`,
    { details: { offers } },
  );
}

interface MediaRange {
  range: string;
  /** From 0 to 1. */
  quality: number;
}

function parseRange(text: string): MediaRange {
  const [range = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const quality = parameters.find((parameter) => /^q\s*=/.test(parameter))?.split('=')[1];
  // A weight that is no weight is a mistake in a wish, not a wish against it.
  return {
    range,
    quality: quality === undefined || !/^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(quality.trim()) ? 1 : Number(quality),
  };
}

/** Of the most specific range that fits. */
function qualityOf(mediaType: string, ranges: readonly MediaRange[]): number {
  const [type] = mediaType.split('/');
  for (const wanted of [mediaType, `${type}/*`, '*/*']) {
    const match = ranges.find(({ range }) => range === wanted);
    if (match !== undefined) return match.quality;
  }
  return 0;
}
