/** The forms of an answer, and which of them an Accept header prefers. */
import { ProductError } from '../../shared/errors.ts';

/** By preference where the caller has none. */
export const ACTIVATION_MEDIA_TYPES = {
  json: 'application/json',
  png: 'image/png',
  npy: 'application/x-npy',
  atlas: 'application/octet-stream',
} as const;

export type ActivationFormat = keyof typeof ACTIVATION_MEDIA_TYPES;

export const ACTIVATION_FORMATS = Object.keys(ACTIVATION_MEDIA_TYPES) as [ActivationFormat, ...ActivationFormat[]];

export const EXPLANATION_MEDIA_TYPES = { json: 'application/json', png: 'image/png' } as const;

export type ExplanationFormat = keyof typeof EXPLANATION_MEDIA_TYPES;

export const EXPLANATION_FORMATS = ['json', 'png'] as const satisfies readonly ExplanationFormat[];

/** The form of an activation. Errors: 'request/not-acceptable'. */
export function negotiateFormat(accept: string | undefined): ActivationFormat {
  return negotiate(accept, ACTIVATION_MEDIA_TYPES);
}

/**
 * The media type of the greatest quality (RFC 9110, 12.5.1), the first one where the caller does not care, as curl does
 * not.
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
 * The form whose media type has the greatest quality; the first one where the caller does not care.
 *
 * @param mediaTypes of the forms, by preference
 * Errors   'request/not-acceptable' when every form has quality 0
 */
export function negotiate<Format extends string>(
  accept: string | undefined,
  mediaTypes: Readonly<Record<Format, string>>,
): Format {
  const formats = Object.keys(mediaTypes) as Format[];
  const [usual, ...others] = formats.map((format) => mediaTypes[format]);
  if (usual === undefined) throw new Error('internal: no forms');
  const type = chooseMediaType(accept, [usual, ...others], `; or say format=${formats.join(', ')}`);
  const found = formats.find((format) => mediaTypes[format] === type);
  if (found === undefined) throw new Error(`internal: no form of ${type}`);
  return found;
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
