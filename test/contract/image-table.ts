/**
 * One table of all kinds of files: what becomes of each is recorded in test/golden/image-table.json and is the same, bit
 * for bit, wherever pictures are read: the decoder on every platform, the trainer's image folders, the server.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import TABLE from '../golden/image-table.json' with { type: 'json' };
import { FITTED, PICTURES, REFUSED } from '../fixtures/images/goldens.ts';
import type { FileOutcome } from './image-platform.ts';

/** A row of the recorded table. */
export interface TableRow {
  name: string;
  outcome: FileOutcome;
  /** Largest difference to Pillow's pixels, of 255; of the 32 x 32 where only these are recorded. */
  difference?: number;
}

/** Names of the files, in the order of the table. */
export const TABLE_NAMES: readonly string[] = [
  ...PICTURES.map(({ name }) => name),
  ...FITTED.map(nameFitted),
  ...REFUSED.map(({ name }) => name),
];

export async function readTableFiles(): Promise<Uint8Array<ArrayBuffer>[]> {
  const fitted = FITTED.map(async ({ file, isDeflated }) =>
    isDeflated ? inflate(fromBase64(file)) : fromBase64(file),
  );
  return [
    ...PICTURES.map(({ file }) => fromBase64(file)),
    ...(await Promise.all(fitted)),
    ...REFUSED.map(({ file }) => fromBase64(file)),
  ];
}

export function describeImageTable(
  platform: string,
  processAll: (files: readonly Uint8Array<ArrayBuffer>[]) => Promise<FileOutcome[]>,
): void {
  describe(`the table of files on ${platform}`, () => {
    let outcomes: FileOutcome[];
    beforeAll(async () => {
      outcomes = await processAll(await readTableFiles());
    });

    test.each(TABLE_NAMES.map((name, index) => ({ name, index })))('$name', ({ name, index }) => {
      expect(outcomes[index]).toEqual(outcomeOf(name));
    });
  });
}

/** What is recorded for a file. */
export function outcomeOf(name: string): FileOutcome {
  const row = (TABLE as readonly TableRow[]).find((each) => each.name === name);
  if (row === undefined) throw new Error(`"${name}" is not in the table; make it again (test/golden/README.md)`);
  return row.outcome;
}

export function nameFitted({ name }: { name: string }): string {
  return `${name}, at 32 x 32`;
}

export async function inflate(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
