/** The table of files through POST /classify of a server whose model takes 32 x 32: what the model sees of each. */
import { describe, expect, test } from 'vitest';
import { API_LIMITS, batchClassificationSchema, classificationSchema, problemSchema } from '../../shared/api.ts';
import { PHONE } from '../fixtures/images/goldens.ts';
import { classify, drawPicture, formOf, readAnswer, readProblem, type Send } from './api-client.ts';
import { withoutPixels } from './image-damage.ts';
import type { FileOutcome } from './image-platform.ts';
import { fromBase64, inflate, outcomeOf, readTableFiles, TABLE_NAMES } from './image-table.ts';

/** What /classify says of one picture. */
export async function uploadTo(send: Send, file: Uint8Array<ArrayBuffer>): Promise<FileOutcome> {
  const response = await send('/classify', { method: 'POST', body: file });
  const body: unknown = await response.json();
  if (!response.ok) {
    const { code } = problemSchema.parse(body);
    return { code };
  }
  return toOutcome(classificationSchema.parse(body).input);
}

export function describeTableUploads(platform: string, send: Send): void {
  describe(`the table of files through POST /classify on ${platform}`, () => {
    test('the model sees of each what is recorded, and each of the others has its problem', async () => {
      const files = await readTableFiles();
      const outcomes: Record<string, FileOutcome> = {};
      const atOnce = API_LIMITS.filesPerRequest;
      for (let first = 0; first < files.length; first += atOnce) {
        const part = TABLE_NAMES.slice(first, first + atOnce);
        const form = formOf(part.map((name, index) => ({ name, bytes: files[first + index] ?? new Uint8Array() })));
        const response = await send('/classify?top_k=1', { method: 'POST', body: form });
        const { results } = await readAnswer(response, batchClassificationSchema);
        for (const result of results) {
          outcomes[result.file] = 'problem' in result ? { code: result.problem.code } : toOutcome(result.input);
        }
      }
      expect(outcomes).toEqual(Object.fromEntries(TABLE_NAMES.map((name) => [name, withoutPixels(outcomeOf(name))])));
    }, 120_000);
  });
}

export function describePhonePicture(platform: string, send: Send): void {
  describe(`a picture from a phone on ${platform}`, () => {
    test('of 12 megapixels has a 413 that names the limit and what to do', async () => {
      const picture = await makePhonePicture(6_000_000);
      expect(picture.length).toBeGreaterThan(5_900_000);
      const form = formOf([{ name: 'IMG_0001.jpg', bytes: picture }]);
      const alone = await readProblem(await send('/classify', { method: 'POST', body: picture }));
      const inForm = await send('/classify', { method: 'POST', body: form });
      const { results } = await readAnswer(inForm, batchClassificationSchema);
      const problem = {
        code: 'image/too-many-pixels',
        status: 413,
        detail: 'got 4000 x 3000 = 12000000 pixels; at most 4194304 are expected; scale the picture down',
        details: { maxPixels: 4_194_304, width: 4000, height: 3000 },
      };
      expect(alone).toMatchObject(problem);
      expect(results).toMatchObject([{ file: 'IMG_0001.jpg', problem }]);
      const next = await drawPicture({ width: 40, height: 30 });
      expect((await classify(send, next)).input).toMatchObject({ width: 40, height: 30 });
    });
  });
}

/** The JPEG of the goldens with the notes of its maker (APP15), as much as is wanted: phones write megabytes of them. */
async function makePhonePicture(sizeBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const picture = await inflate(fromBase64(PHONE));
  const notes = new Uint8Array(2 + 0xffff);
  notes.set([0xff, 0xef, 0xff, 0xff]);
  const count = Math.floor((sizeBytes - picture.length) / notes.length);
  const made = new Uint8Array(picture.length + count * notes.length);
  made.set(picture.subarray(0, 2));
  for (let index = 0; index < count; index++) made.set(notes, 2 + index * notes.length);
  made.set(picture.subarray(2), 2 + count * notes.length);
  return made;
}

function toOutcome({ width, height, sha256 }: { width: number; height: number; sha256: string }): FileOutcome {
  return { width, height, pixels: '', input: sha256 };
}
