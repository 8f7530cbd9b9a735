/**
 * Damaged pictures: those of `damage-image.ts`, with right lengths and checksums around wrong content; bytes changed
 * blindly; sizes at the ends of their ranges; bombs; two files grown together.
 */
import { deflateSync } from 'node:zlib';
import { crc32 } from '../../shared/image/crc32.ts';
import type { ImageType } from '../../shared/image/signature.ts';
import { PICTURES, REFUSED } from '../fixtures/images/goldens.ts';
import { damageImage } from '../support/damage-image.ts';
import type { Dice } from './dice.ts';
import { drawBytes, joinBytes, mutateBytes, type Bytes } from './mutate-bytes.ts';

interface Picture {
  type: ImageType;
  bytes: Bytes;
}

const TYPES = { PNG: 'png', JPEG: 'jpeg', WebP: 'webp' } as const satisfies Record<string, ImageType>;

/** Sound pictures of every kind that is read, of at most 24 pixels a side. */
const SOUND = listPictures(PICTURES);
/** Those that end with their last part. */
const WHOLE = listPictures(PICTURES.filter(({ name }) => !name.endsWith('with bytes behind its end')));
/** And files that are refused, which hold what the others have not. */
const ALL = [...SOUND, ...listPictures(REFUSED)];

function listPictures(goldens: readonly { name: string; file: string }[]): Picture[] {
  return goldens.flatMap(({ name, file }) => {
    const type = TYPES[name.split(' ', 1)[0] as keyof typeof TYPES] as ImageType | undefined;
    return type === undefined ? [] : [{ type, bytes: Uint8Array.from(Buffer.from(file, 'base64')) }];
  });
}

export function drawSoundPicture(dice: Dice): Bytes {
  return dice.pick(SOUND).bytes;
}

/** Some are still sound. */
export function drawDamagedPicture(dice: Dice): Bytes {
  const picture = dice.pick(ALL);
  const splice = (): Bytes => dice.pick(ALL).bytes;
  const kind = dice.below(80);
  if (kind < 48) return damageTwice(dice.pick(WHOLE), dice);
  if (kind < 66) return mutateBytes(picture.bytes, dice, splice);
  if (kind < 74) return resize(picture, dice);
  if (kind < 79) return dice.onceIn(4) ? drawBytes(dice, 1 + dice.below(2000)) : splicePictures(picture, splice());
  return drawBomb(dice);
}

function damageTwice({ type, bytes }: Picture, dice: Dice): Bytes {
  const once = damageImage(bytes, type, () => dice.bits());
  return dice.onceIn(3) && once.length > 64 ? mutateBytes(once, dice, () => bytes) : once;
}

function splicePictures({ bytes }: Picture, other: Bytes): Bytes {
  return joinBytes([bytes.subarray(0, bytes.length >> 1), other.subarray(other.length >> 1)]);
}

const SIDES = [0, 1, 7, 255, 256, 2047, 2048, 2049, 16_383, 32_767, 65_535, 65_536, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];

/** Another width and height in the header, with the checksum of a header that means it. */
function resize({ type, bytes }: Picture, dice: Dice): Bytes {
  const changed = bytes.slice();
  const view = new DataView(changed.buffer);
  const [width, height] = [dice.pick(SIDES), dice.pick(SIDES)];
  if (type === 'png') {
    if (changed.length < 33) return changed;
    view.setUint32(16, width);
    if (!dice.onceIn(3)) view.setUint32(20, height);
    if (dice.onceIn(3)) changed[24] = dice.pick([0, 1, 2, 3, 4, 8, 16, 32, 255]);
    if (dice.onceIn(3)) changed[25] = dice.pick([0, 1, 2, 3, 4, 5, 6, 7, 255]);
    if (dice.onceIn(3)) changed[28] = dice.pick([0, 1, 2]);
    view.setUint32(29, crc32(changed.subarray(12, 29)));
    return changed;
  }
  if (type === 'jpeg') {
    const frame = changed.findIndex((byte, at) => byte === 0xff && [0xc0, 0xc1, 0xc2].includes(changed[at + 1] ?? 0));
    if (frame === -1 || frame + 9 > changed.length) return changed;
    view.setUint16(frame + 5, height);
    if (!dice.onceIn(3)) view.setUint16(frame + 7, width);
    return changed;
  }
  if (changed.length < 30) return changed;
  // VP8X has its canvas at 24, VP8 its frame at 26, VP8L its bits from 21 on.
  const at = dice.pick([21, 24, 26, 27]);
  if (at + 4 <= changed.length) view.setUint32(at, width, true);
  return changed;
}

const BOMB_BYTES = [1, 100, 70_000, 3_000_000, 20_000_000];
/** Zeros that inflate a thousandfold. */
const BOMBS = BOMB_BYTES.map((length) => deflateSync(new Uint8Array(length), { level: 9 }));

/** A PNG whose image data inflate to more, or less, than its header asks for. */
function drawBomb(dice: Dice): Bytes {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  const side = dice.pick([1, 16, 200, 600, 2048]);
  view.setUint32(0, side);
  // Pictures of the largest size are slow to work on, so there are few that are sound.
  view.setUint32(4, side === 2048 && !dice.onceIn(20) ? 2049 : side);
  header.set([dice.pick([8, 16]), dice.pick([0, 2, 4, 6])], 8);
  const data = dice.pick(BOMBS);
  const chunks = Array.from({ length: dice.onceIn(4) ? 3 : 1 }, () => makeChunk('IDAT', data));
  const text = dice.onceIn(4) ? [makeChunk('zTXt', joinBytes([new Uint8Array([65, 0, 0]), dice.pick(BOMBS)]))] : [];
  return joinBytes([
    new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    makeChunk('IHDR', header),
    ...text,
    ...chunks,
    makeChunk('IEND', new Uint8Array()),
  ]);
}

function makeChunk(name: string, content: Uint8Array): Bytes {
  const named = joinBytes([new TextEncoder().encode(name), content]);
  const frame = new Uint8Array(8);
  const view = new DataView(frame.buffer);
  view.setUint32(0, content.length);
  view.setUint32(4, crc32(named));
  return joinBytes([frame.subarray(0, 4), named, frame.subarray(4)]);
}
