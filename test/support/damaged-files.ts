/** The damaged files that every platform is given; what Pillow makes of them is in test/golden/damaged-images.json. */
import type { ImageType } from '../../shared/image/signature.ts';
import { PICTURES } from '../fixtures/images/goldens.ts';
import { damageImages } from './damage-image.ts';

const SOUND: Readonly<Record<ImageType, readonly string[]>> = {
  png: [
    'PNG grey 1 bit',
    'PNG palette 4 bit interlaced',
    'PNG RGB 8 bit',
    'PNG RGB and alpha 16 bit',
    'PNG turned by an eXIf chunk (extra)',
  ],
  jpeg: [
    'JPEG baseline 4:2:0',
    'JPEG progressive',
    'JPEG grey',
    'JPEG with restart markers',
    'JPEG with EXIF orientation 6',
  ],
  webp: ['WebP lossy', 'WebP lossless', 'WebP lossy with alpha', 'WebP turned by EXIF'],
};

export const DAMAGED_PER_TYPE = 440;

/** The first `count` of the damaged files of a type, each with the sound file that it comes from or another. */
export function makeDamagedFiles(
  type: ImageType,
  count = DAMAGED_PER_TYPE,
): { damage: string; bytes: Uint8Array<ArrayBuffer>; soundName: string; sound: Uint8Array<ArrayBuffer> }[] {
  const names = SOUND[type];
  const sound = names.map(readPicture);
  const damaged = damageImages({ type, sound, count, seed: 7 });
  return Array.from(damaged, (file, index) => {
    const [soundName, bytes] = [names[index % names.length], sound[index % sound.length]];
    if (soundName === undefined || bytes === undefined) throw new Error('internal: a type without sound files');
    return { ...file, soundName, sound: bytes };
  });
}

function readPicture(name: string): Uint8Array<ArrayBuffer> {
  const found = PICTURES.find((picture) => picture.name === name);
  if (found === undefined) throw new Error(`no picture "${name}"`);
  return Uint8Array.from(atob(found.file), (character) => character.charCodeAt(0));
}
