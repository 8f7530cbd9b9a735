/** POST /evaluate: the caller's labelled pictures as a body, and the answer while it comes. */
import { EVALUATION_MEDIA_TYPES, evaluationEventSchema, type EvaluationEvent } from '../evaluation-api.ts';
import { fromProblem, parseJson, unexpectedAnswer } from './api-error.ts';
import { guard, toBlob, type Call, type Picture } from './transport.ts';

export type LabelledPictures =
  /** Of the binary CIFAR-10 layout: the class in a byte, then the planes of a picture of the model's size. */
  | { records: Picture }
  /** Files of any size, each with its class by name or number. */
  | { pictures: Iterable<{ picture: Picture; label: string | number }> };

/** A problem in the middle of the stream is thrown. */
export type EvaluationStep = Exclude<EvaluationEvent, { type: 'problem' }>;

export function describeLabelled(labelled: LabelledPictures): Pick<Call, 'body' | 'contentType'> {
  if ('records' in labelled) {
    return { body: toBlob(labelled.records), contentType: EVALUATION_MEDIA_TYPES.records };
  }
  const form = new FormData();
  const labels: (string | number)[] = [];
  for (const { picture, label } of labelled.pictures) {
    form.append('file', toBlob(picture), String(labels.length));
    labels.push(label);
  }
  form.set('labels', labels.join(','));
  return { body: form };
}

/**
 * The events as they come. Who stops reading closes the connection, and the server stops working.
 *
 * Errors   `ApiError`: a problem of the server in the middle of its work, 'client/unreachable' when the stream breaks off
 */
export async function* readEvents(
  response: Response,
  signal: AbortSignal | undefined,
): AsyncGenerator<EvaluationStep, void, undefined> {
  let isComplete = false;
  for await (const line of readLines(response, signal)) {
    const event = evaluationEventSchema.safeParse(parseJson(line));
    if (!event.success) throw unexpectedAnswer(event.error, response);
    if (event.data.type === 'problem') throw fromProblem(event.data.problem, response.headers);
    isComplete = event.data.type === 'result';
    yield event.data;
  }
  if (!isComplete) await guard(Promise.reject(new Error('the stream ended before the result')), signal);
}

async function* readLines(response: Response, signal: AbortSignal | undefined): AsyncGenerator<string> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for (;;) {
      const { value, done } = await guard(reader.read(), signal);
      if (done) {
        if (rest !== '') yield rest;
        return;
      }
      const lines = (rest + decoder.decode(value, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
    }
  } finally {
    // Of a stream that has failed there is nothing left to cancel.
    await reader.cancel().catch(() => undefined);
  }
}
