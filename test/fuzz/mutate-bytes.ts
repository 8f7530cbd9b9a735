/** Damage to bytes and text of which nothing is known. */
import type { Dice } from './dice.ts';

export type Bytes = Uint8Array<ArrayBuffer>;

/** One to four times. */
export function mutateBytes(bytes: Bytes, dice: Dice, splice: () => Bytes): Bytes {
  let changed = bytes;
  for (let left = 1 + dice.below(4); left > 0; left--) changed = dice.pick(MUTATIONS)(changed, dice, splice);
  return changed;
}

type Mutation = (bytes: Bytes, dice: Dice, splice: () => Bytes) => Bytes;

/** Ends of the ranges that lengths and sizes are stored in. */
const EXTREMES = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

const MUTATIONS: readonly Mutation[] = [
  (bytes, dice) => bytes.slice(0, dice.below(bytes.length + 1)),
  (bytes, dice) => bytes.slice(dice.below(bytes.length + 1)),
  (bytes, dice) => overwrite(bytes, dice, (at, changed) => (changed[at] = (changed[at] ?? 0) ^ (1 << dice.below(8)))),
  (bytes, dice) => overwrite(bytes, dice, (at, changed) => (changed[at] = dice.bits())),
  (bytes, dice) =>
    overwrite(bytes, dice, (at, changed) => {
      const view = new DataView(changed.buffer);
      const size = dice.pick([1, 2, 4]);
      const value = dice.pick(EXTREMES);
      if (at + size > changed.length) return;
      if (size === 1) view.setUint8(at, value);
      else if (size === 2) view.setUint16(at, value, dice.onceIn(2));
      else view.setUint32(at, value, dice.onceIn(2));
    }),
  (bytes, dice) => {
    const at = dice.below(bytes.length + 1);
    return joinBytes([bytes.subarray(0, at), bytes.subarray(at + 1 + dice.below(32))]);
  },
  (bytes, dice) => {
    const [from, at] = [dice.below(bytes.length + 1), dice.below(bytes.length + 1)];
    const piece = bytes.subarray(from, from + 1 + dice.below(200));
    const copies = Array.from({ length: 1 + dice.below(3) }, () => piece);
    return joinBytes([bytes.subarray(0, at), ...copies, bytes.subarray(at)]);
  },
  (bytes, dice) => {
    const at = dice.below(bytes.length + 1);
    return joinBytes([bytes.subarray(0, at), drawBytes(dice, 1 + dice.below(64)), bytes.subarray(at)]);
  },
  (bytes, dice, splice) => {
    const other = splice();
    return joinBytes([bytes.subarray(0, dice.below(bytes.length + 1)), other.subarray(dice.below(other.length + 1))]);
  },
];

function overwrite(bytes: Bytes, dice: Dice, write: (at: number, changed: Bytes) => void): Bytes {
  const changed = bytes.slice();
  if (changed.length === 0) return changed;
  for (let left = 1 + dice.below(4); left > 0; left--) write(dice.below(changed.length), changed);
  return changed;
}

export function drawBytes(dice: Dice, length: number): Bytes {
  return Uint8Array.from({ length }, () => dice.bits());
}

export function joinBytes(pieces: readonly Uint8Array[]): Bytes {
  const joined = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}

/** What parsers of text stumble over. */
const TROUBLE = [
  ...['\u0000', '\u007f', '\ufeff', '\u202e', '\ud800', '\u{1f431}', 'é', '%00', '%', '%ff', '%2e%2e%2f', '../', '\\'],
  ...['"', "'", ';', ',', '&', '=', '?', '#', '+', ' ', '\t', '\r\n', '\n\n', '<script>', '${7*7}', '{{7*7}}'],
  ...['-1', '0', '1e400', '-0', '0x10', '1'.repeat(400), 'NaN', 'null', 'undefined', '[]', '{}', '__proto__'],
];

export function drawTrouble(dice: Dice): string {
  return dice.pick(TROUBLE);
}

/** One to three times. */
export function mutateText(text: string, dice: Dice): string {
  let changed = text;
  for (let left = 1 + dice.below(3); left > 0; left--) {
    const at = dice.below(changed.length + 1);
    const end = at + dice.below(8);
    changed = dice.pick([
      () => changed.slice(0, at),
      () => changed.slice(0, at) + changed.slice(end),
      () => changed.slice(0, at) + drawTrouble(dice) + changed.slice(at),
      () => changed.slice(0, at) + drawTrouble(dice) + changed.slice(end),
      () => changed.slice(0, at) + changed.slice(at, end).repeat(1 + dice.below(50)) + changed.slice(end),
      () => changed.slice(0, at) + String.fromCharCode(dice.below(0x250)) + changed.slice(at + 1),
      () => drawTrouble(dice),
    ])();
  }
  return changed;
}
