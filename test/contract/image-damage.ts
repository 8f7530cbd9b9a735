/**
 * Damaged files on one decoder and one server: each is refused with a code of its own or is a picture to Pillow too, and
 * the sound file behind it is answered as ever. All platforms make the same of each.
 */
import { describe, expect, test } from 'vitest';
import VERDICTS from '../golden/damaged-images.json' with { type: 'json' };
import type { ImageType } from '../../shared/image/signature.ts';
import { DAMAGED_PER_TYPE, makeDamagedFiles } from '../support/damaged-files.ts';
import { hashHex, type FileOutcome } from './image-platform.ts';
import { outcomeOf } from './image-table.ts';

const TYPES = ['png', 'jpeg', 'webp'] as const satisfies readonly ImageType[];

/** Of the outcomes of all damaged files of a type, as JSON. */
const OUTCOMES_SHA256: Readonly<Record<ImageType, string>> = {
  png: 'e5cac4a57e56b2adc653b5c399404c1fe84a88ecb6a1e21d7ea587f8c9702f78',
  jpeg: '1cc9e211f77fd6fc94f84ba0b28e8e8e4076b916ca36e999ae9919ea758e7335',
  webp: '2c9f51b7c98e83bdacb4c87f4a56ba069a4e8ca6973954f6aa500f595909c2d9',
};

/** Pillow reads the file, or does so once what it alone insists on is mended (damaged-images.py). */
const PICTURE_VERDICTS = ['y', 'm'];

const CODES = [
  'image/empty',
  'image/unknown-type',
  'image/unsupported',
  'image/too-many-pixels',
  'image/truncated',
  'image/corrupt',
];

export function describeDamage(
  platform: string,
  processAll: (files: readonly Uint8Array<ArrayBuffer>[]) => Promise<FileOutcome[]>,
): void {
  describe(`damaged files on ${platform}`, () => {
    test.each(TYPES)(
      `of ${DAMAGED_PER_TYPE} of type %s each is refused by a code or a picture to Pillow too, and spoils nothing`,
      async (type) => {
        const files = makeDamagedFiles(type);
        const outcomes = await processAll(files.flatMap(({ bytes, sound }) => [bytes, sound]));
        const ofDamaged = outcomes.filter((_, index) => index % 2 === 0);
        const ofSound = outcomes.filter((_, index) => index % 2 === 1);
        for (const [index, { damage, soundName }] of files.entries()) {
          const name = `${type} ${index}, ${damage}`;
          expect(ofSound[index], `the ${soundName} behind ${name}`).toEqual(outcomeOf(soundName));
          expectRefusalOrPicture(ofDamaged[index], { name, verdict: VERDICTS[type][index] });
        }
        const refused = ofDamaged.filter((outcome) => 'code' in outcome).length;
        expect(refused).toBeGreaterThan(DAMAGED_PER_TYPE / 3);
        expect(refused).toBeLessThan(DAMAGED_PER_TYPE);
        const text = new TextEncoder().encode(JSON.stringify(ofDamaged));
        expect(await hashHex(text)).toBe(OUTCOMES_SHA256[type]);
      },
      120_000,
    );
  });
}

/** Uploads: as many of each type as are asked for, each followed by a sound one. */
export function describeDamagedUploads(
  platform: string,
  { upload, count }: { upload: (file: Uint8Array<ArrayBuffer>) => Promise<FileOutcome>; count: number },
): void {
  describe(`damaged uploads on ${platform}`, () => {
    test.each(TYPES)(
      `of ${count} of type %s each has a problem or an answer, and the next picture is answered rightly`,
      async (type) => {
        for (const [index, { damage, bytes, soundName, sound }] of makeDamagedFiles(type, count).entries()) {
          const name = `${type} ${index}, ${damage}`;
          // A request without a body has a code of its own.
          if (bytes.length > 0) expectRefusalOrPicture(await upload(bytes), { name, verdict: VERDICTS[type][index] });
          expect(await upload(sound), `the ${soundName} behind ${name}`).toEqual(withoutPixels(outcomeOf(soundName)));
        }
      },
      120_000,
    );
  });
}

/** A server does not tell the picture's own pixels, only what the model saw. */
export function withoutPixels(outcome: FileOutcome): FileOutcome {
  return 'code' in outcome ? outcome : { ...outcome, pixels: '' };
}

function expectRefusalOrPicture(
  outcome: FileOutcome | undefined,
  { name, verdict }: { name: string; verdict: string | undefined },
): void {
  if (outcome !== undefined && 'code' in outcome) expect(outcome.code, name).toBeOneOf(CODES);
  else expect(verdict, `${name} is taken; to Pillow it is`).toBeOneOf(PICTURE_VERDICTS);
}
