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
 * The media type of the greatest quality, the first one where the caller does not care.
 *
 * Errors   'request/not-acceptable' when each has quality 0
 */
export function chooseMediaType<Type extends string>(
  accept: string | undefined,
  offers: readonly [Type, ...Type[]],
  hint = '',
): Type {
  const [usual] = offers;
  if (accept === undefined || accept.trim() === '') return usual;
  const ranges = accept.split(',').map(parseRange);
  const qualities = offers.map((offer) => qualityOf(offer, ranges));
  const best = Math.max(...qualities);
  const chosen = offers[qualities.indexOf(best)];
  if (best > 0 && chosen !== undefined) return chosen;
  throw new ProductError(
    'request/not-acceptable',
    `Accept is "${accept}"; one of ${offers.join(', ')} is expected${hint}`,
    { details: { offers } },
  );
}

/**
 * The form of the greatest quality (RFC 9110, 12.5.1); JSON where the caller does not care, as curl does not.
 *
 * Errors   'request/not-acceptable' when every form has quality 0
 */
export function negotiateFormat(accept: string | undefined): ActivationFormat {
  const [usual, ...others] = ACTIVATION_FORMATS.map((format) => ACTIVATION_MEDIA_TYPES[format]);
  if (usual === undefined) throw new Error('internal: no forms');
  const type = chooseMediaType(accept, [usual, ...others], `; or say format=${ACTIVATION_FORMATS.join(', ')}`);
  return ACTIVATION_FORMATS.find((format) => ACTIVATION_MEDIA_TYPES[format] === type) ?? 'json';
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
