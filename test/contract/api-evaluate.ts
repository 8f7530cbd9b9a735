/** What `POST /evaluate` promises, on Node and in workerd, with whatever model is there: its answers are those of /classify. */
import { beforeAll, describe, expect, test } from 'vitest';
import { modelDetailSchema, type Problem } from '../../shared/api.ts';
import { evaluationEventSchema, type EvaluationEvent } from '../../shared/evaluation-api.ts';
import type { ModelManifest } from '../../shared/manifest.ts';
import { encodePng } from '../../shared/image/png-encode.ts';
import { classify, drawPicture, formOf, readAnswer, readProblem, toBase64, type Send } from './api-client.ts';

const RECORDS = { 'content-type': 'application/octet-stream' };
const LINES = { 'content-type': 'application/x-ndjson' };

type Result = Extract<EvaluationEvent, { type: 'result' }>;

function readEvents(text: string): EvaluationEvent[] {
  const lines = text.trimEnd().split('\n');
  return lines.map((line) => evaluationEventSchema.parse(JSON.parse(line)));
}

export function describeEvaluateApi(platform: string, send: Send) {
  describe(`POST /evaluate on ${platform}`, () => {
    let manifest: ModelManifest;
    /** Pictures of the model's size, with what /classify says of them and a label that is right for every other one. */
    let pictures: { png: Uint8Array<ArrayBuffer>; record: Uint8Array; predicted: number; label: number }[];

    beforeAll(async () => {
      manifest = await readAnswer(await send('/models/champion'), modelDetailSchema);
      const [height, width] = manifest.architecture.inputShape;
      const classes = manifest.classNames.length;
      pictures = [];
      for (let index = 0; index < 12; index++) {
        const pixels = Uint8Array.from({ length: height * width * 3 }, (_, place) => (place * (index + 3)) % 251);
        const png = await encodePng({ width, height, channels: 3, pixels });
        const predicted = (await classify(send, png, '?top_k=1')).predictions[0]?.index ?? -1;
        const label = index % 2 === 0 ? predicted : (predicted + 1) % classes;
        const planes = [0, 1, 2].flatMap((channel) => [...pixels.filter((_, place) => place % 3 === channel)]);
        pictures.push({ png, predicted, label, record: Uint8Array.from([label, ...planes]) });
      }
    });

    const evaluate = (body: BodyInit, headers: Record<string, string> = {}, query = ''): Promise<Response> =>
      send(`/evaluate${query}`, { method: 'POST', body, headers });
    const records = (): Uint8Array<ArrayBuffer> => new Uint8Array(pictures.flatMap(({ record }) => [...record]));
    const lines = (): string =>
      pictures
        .map(({ png, label }, index) =>
          JSON.stringify({ image: toBase64(png), label: index % 2 === 0 ? label : manifest.classNames[label] }),
        )
        .join('\n');

    async function readResult(response: Response): Promise<Result> {
      const events = readEvents(await response.text());
      const last = events.at(-1);
      expect(last?.type, JSON.stringify(last)).toBe('result');
      return last as Result;
    }

    test('measures records as /classify answers them, and tells how far it is', async () => {
      const response = await evaluate(records(), RECORDS);
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe('application/x-ndjson');
      expect(response.headers.get('x-model-id')).toBe(manifest.modelId);
      const events = readEvents(await response.text());
      expect(events.map(({ type }) => type)).toEqual(['start', 'progress', 'result']);
      expect(events[1]).toEqual({ type: 'progress', n: 10, correct: 5, accuracy: 0.5 });
      const { report } = events[2] as Result;
      expect(report).toMatchObject({ n: 12, correct: 6, accuracy: { value: 0.5 } });
      const confusion = manifest.classNames.map(() => manifest.classNames.map(() => 0));
      for (const { label, predicted } of pictures) {
        const row = confusion[label] ?? [];
        row[predicted] = (row[predicted] ?? 0) + 1;
      }
      expect(report.confusion).toEqual(confusion);
      const wrong = report.mistakes?.flatMap(({ indices }) => indices).toSorted((a, b) => a - b);
      expect(wrong).toEqual([1, 3, 5, 7, 9, 11]);
    });

    test('gives the same figures for lines of JSON and for both kinds of forms', async () => {
      const { report } = await readResult(await evaluate(records(), RECORDS));
      expect((await readResult(await evaluate(lines(), LINES))).report).toEqual(report);
      const labelled = formOf(pictures.map(({ png }, index) => ({ name: `${index}.png`, bytes: png })));
      labelled.append('labels', pictures.map(({ label }) => label).join(','));
      expect((await readResult(await evaluate(labelled))).report).toEqual(report);
      const named = formOf(
        pictures.map(({ png, label }, index) => ({ name: `${manifest.classNames[label]}-${index}.png`, bytes: png })),
      );
      expect((await readResult(await evaluate(named))).report).toEqual(report);
    });

    test('sends events to who accepts them', async () => {
      const response = await evaluate(records(), { ...RECORDS, accept: 'text/event-stream' });
      expect(response.headers.get('content-type')).toBe('text/event-stream');
      const events = (await response.text()).trimEnd().split('\n\n');
      expect(events.map((event) => event.split('\n')[0])).toEqual(['event: start', 'event: progress', 'event: result']);
      const data = events.map((event) => event.split('\n')[1]?.replace('data: ', '') ?? '');
      expect(readEvents(data.join('\n')).at(-1)).toMatchObject({ report: { n: 12 } });
    });

    test('ends with the problem of a picture that is bad in the middle', async () => {
      const body = [...lines().split('\n').slice(0, 10), JSON.stringify({ image: 'AAAA', label: 0 })].join('\n');
      const events = readEvents(await (await evaluate(body, LINES)).text());
      expect(events.map(({ type }) => type)).toEqual(['start', 'progress', 'problem']);
      expect(events.at(-1)).toMatchObject({ problem: { code: 'image/unknown-type', details: { index: 10 } } });
    });

    test('ends with a problem when the last record is cut off', async () => {
      const events = readEvents(await (await evaluate(records().subarray(0, -5), RECORDS)).text());
      expect(events.at(-1)).toMatchObject({ problem: { code: 'request/invalid', details: { index: 11 } } });
    });

    test('says what is wrong from the start with a status of its own', async () => {
      const refuse = async (body: BodyInit, headers?: Record<string, string>, query?: string): Promise<Problem> =>
        readProblem(await evaluate(body, headers, query));
      const picture = await drawPicture({ width: 9, height: 9 });
      expect(await refuse('x', { 'content-type': 'text/csv' })).toMatchObject({ status: 415 });
      expect(await refuse('', RECORDS)).toMatchObject({ code: 'request/empty', status: 400 });
      expect(await refuse('\n \r\n', LINES)).toMatchObject({ code: 'request/empty', status: 400 });
      expect(await refuse(records(), { ...RECORDS, accept: 'image/png' })).toMatchObject({ status: 406 });
      expect(await refuse(records(), RECORDS, '?model=nobody')).toMatchObject({ code: 'model/unknown' });
      expect(await refuse('{"image":', LINES)).toMatchObject({ code: 'request/malformed-json' });
      expect(await refuse('{"image":"AAAA"}', LINES)).toMatchObject({ code: 'request/invalid' });
      expect(await refuse(new Uint8Array(5000).fill(200), RECORDS)).toMatchObject({ code: 'request/invalid' });
      const unlabelled = await refuse(formOf([{ name: 'what.png', bytes: picture }]));
      expect(unlabelled.detail).toContain(manifest.classNames[0]);
      const uneven = formOf([{ name: 'a.png', bytes: picture }]);
      uneven.append('labels', '0,1');
      expect((await refuse(uneven)).detail).toContain('2 labels for 1 files');
    });
  });
}
