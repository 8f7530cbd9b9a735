/**
 * Damaged copies of image files, drawn from a seed, the same on every platform: cut, flipped, taken apart into chunks or
 * segments and put together wrongly with right checksums and lengths, lying in the header, or followed by rubbish. Some
 * are still sound pictures.
 */
import { crc32 } from '../../shared/image/crc32.ts';
import type { ImageType } from '../../shared/image/signature.ts';
import { makeRandom } from './seeded-random.ts';

type Random = () => number;

interface DamageOptions {
  type: ImageType;
  /** Files of that type, taken in turn. */
  sound: readonly Uint8Array[];
  count: number;
  seed: number;
}

/** Each damaged copy with what was done to it; every kind of damage in turn. */
export function* damageImages({ type, sound, count, seed }: DamageOptions): Generator<{
  damage: string;
  bytes: Uint8Array<ArrayBuffer>;
}> {
  const random = makeRandom(seed);
  const kinds = Object.entries(DAMAGES);
  for (let index = 0; index < count; index++) {
    const [damage, apply] = kinds[index % kinds.length] as [string, Damage];
    const bytes = sound[Math.floor(index / kinds.length) % sound.length];
    if (bytes === undefined) throw new Error('internal: nothing to damage');
    yield { damage, bytes: apply(bytes, random, type) };
  }
}

/** One copy, damaged in a way that is drawn too. */
export function damageImage(bytes: Uint8Array, type: ImageType, random: Random): Uint8Array<ArrayBuffer> {
  const kinds = Object.values(DAMAGES);
  const apply = kinds[random() % kinds.length];
  if (apply === undefined) throw new Error('internal: no kinds of damage');
  return apply(bytes, random, type);
}

type Damage = (bytes: Uint8Array, random: Random, type: ImageType) => Uint8Array<ArrayBuffer>;

const DAMAGES: Readonly<Record<string, Damage>> = {
  cut: (bytes, random) => bytes.slice(0, random() % bytes.length),
  'bits flipped': (bytes, random) => {
    const changed = bytes.slice();
    for (let left = 1 + (random() % 8); left > 0; left--) flipBit(changed, random() % changed.length, random);
    return changed;
  },
  'bytes overwritten': (bytes, random) => {
    const changed = bytes.slice();
    for (let left = 1 + (random() % 4); left > 0; left--) changed[random() % changed.length] = random();
    return changed;
  },
  'a piece missing': (bytes, random) => {
    const at = random() % bytes.length;
    return join([bytes.subarray(0, at), bytes.subarray(at + 1 + (random() % 20))]);
  },
  'a part removed': (bytes, random, type) => rebuild(bytes, type, (parts) => parts.splice(pick(parts, random), 1)),
  'a part twice': (bytes, random, type) =>
    rebuild(bytes, type, (parts) => {
      const part = parts[pick(parts, random)];
      if (part !== undefined) parts.splice(pick(parts, random), 0, part.slice());
    }),
  'two parts exchanged': (bytes, random, type) =>
    rebuild(bytes, type, (parts) => {
      const [first, second] = [pick(parts, random), pick(parts, random)];
      const [one, other] = [parts[first], parts[second]];
      if (one === undefined || other === undefined) return;
      parts[first] = other;
      parts[second] = one;
    }),
  'a part shortened': (bytes, random, type) =>
    rebuild(bytes, type, (parts) => {
      const at = pick(parts, random);
      const part = parts[at];
      if (part !== undefined) parts[at] = part.slice(0, Math.max(PART_HEADS[type], random() % part.length));
    }),
  'a part changed inside': (bytes, random, type) =>
    rebuild(bytes, type, (parts) => {
      const part = parts[pick(parts, random)];
      const head = PART_HEADS[type];
      if (part === undefined || part.length <= head) return;
      for (let left = 1 + (random() % 3); left > 0; left--) part[head + (random() % (part.length - head))] = random();
    }),
  'a header that lies': (bytes, random, type) => rebuild(bytes, type, (parts) => lieInHeader(parts, type, random)),
  'rubbish behind': (bytes, random) => join([bytes, Uint8Array.from({ length: 1 + (random() % 200) }, () => random())]),
};

/** Bytes before the content of a part: length and name, marker and length, name and length. */
const PART_HEADS: Readonly<Record<ImageType, number>> = { png: 8, jpeg: 4, webp: 8 };

/** Takes a file into its parts, lets `change` at them, and writes it with right lengths and checksums. */
function rebuild(
  bytes: Uint8Array,
  type: ImageType,
  change: (parts: Uint8Array[]) => unknown,
): Uint8Array<ArrayBuffer> {
  const { start, parts } = splitFile(bytes, type);
  change(parts);
  for (const [index, part] of parts.entries()) parts[index] = correctPart(part, type);
  const joined = join([start, ...parts]);
  if (type === 'webp' && joined.length >= 8) new DataView(joined.buffer).setUint32(4, joined.length - 8, true);
  return joined;
}

function splitFile(bytes: Uint8Array, type: ImageType): { start: Uint8Array; parts: Uint8Array[] } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const startBytes = { png: 8, jpeg: 2, webp: 12 }[type];
  const parts: Uint8Array[] = [];
  let at = startBytes;
  while (at + 4 <= bytes.length) {
    const end = Math.min(bytes.length, at + partLength(view, at, type));
    // A PNG chunk is kept without its checksum.
    parts.push(bytes.slice(at, type === 'png' ? end - 4 : end));
    at = end;
  }
  // The end marker of a JPEG is all of its segment.
  if (at < bytes.length) parts.push(bytes.slice(at));
  return { start: bytes.subarray(0, startBytes), parts };
}

function partLength(view: DataView, at: number, type: ImageType): number {
  if (type === 'png') return 12 + view.getUint32(at);
  if (type === 'webp') return 8 + view.getUint32(at + 4, true) + (view.getUint32(at + 4, true) & 1);
  const length = 2 + view.getUint16(at + 2);
  if (view.getUint8(at + 1) !== 0xda) return length;
  // The entropy-coded data belong to their scan.
  let end = at + length;
  while (end + 1 < view.byteLength && !isMarker(view.getUint8(end), view.getUint8(end + 1))) end++;
  return end - at;
}

function isMarker(first: number, second: number): boolean {
  return first === 0xff && second !== 0 && !(second >= 0xd0 && second <= 0xd7);
}

function correctPart(part: Uint8Array, type: ImageType): Uint8Array {
  if (part.length < PART_HEADS[type]) return part;
  const view = new DataView(part.buffer, part.byteOffset, part.byteLength);
  if (type === 'png') {
    view.setUint32(0, part.length - 8);
    const checksum = new Uint8Array(4);
    new DataView(checksum.buffer).setUint32(0, crc32(part.subarray(4)));
    return join([part, checksum]);
  }
  if (type === 'webp') {
    if (view.getUint32(4, true) + 1 !== part.length - 8) view.setUint32(4, part.length - 8, true);
    return part.length % 2 === 0 ? part : join([part, new Uint8Array(1)]);
  }
  if (view.getUint8(1) !== 0xda) view.setUint16(2, part.length - 2);
  return part;
}

/** One of the numbers that say how large and of what kind the picture is. */
function lieInHeader(parts: readonly Uint8Array[], type: ImageType, random: Random): void {
  const header = parts.find((part) => isHeader(part, type));
  if (header === undefined) return;
  const head = PART_HEADS[type];
  const length = Math.min(header.length - head, { png: 13, jpeg: 15, webp: 10 }[type]);
  const at = head + (random() % length);
  // Mostly a little off: large lies are all refused for the size that they claim.
  if (random() % 3 === 0) header[at] = random();
  else header[at] = (header[at] ?? 0) + ((random() % 5) - 2);
}

function isHeader(part: Uint8Array, type: ImageType): boolean {
  if (type === 'png') return String.fromCharCode(...part.subarray(4, 8)) === 'IHDR';
  if (type === 'webp') return true;
  return part[1] === 0xc0 || part[1] === 0xc2;
}

function pick(parts: readonly Uint8Array[], random: Random): number {
  return random() % parts.length;
}

function flipBit(bytes: Uint8Array, at: number, random: Random): void {
  bytes[at] = (bytes[at] ?? 0) ^ (1 << (random() % 8));
}

function join(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}
