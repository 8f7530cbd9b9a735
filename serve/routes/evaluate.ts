/** POST /evaluate: how good a model is on the caller's own pictures, told while it goes on. */
import { createRoute, type RouteHandler } from '@hono/zod-openapi';
import type { Context } from 'hono';
import type { Problem } from '../../shared/api.ts';
import { EVALUATION_MEDIA_TYPES, evaluationEventSchema, type EvaluationEvent } from '../../shared/evaluation-api.ts';
import { EvaluationMeter } from '../../shared/evaluation-meter.ts';
import { reportMeasurement } from '../../shared/evaluation-report.ts';
import { isRequestError, ProductError } from '../../shared/errors.ts';
import { CODE_SAMPLES } from '../description/code-samples.ts';
import { toDecimal } from '../answer/decimal.ts';
import { onlyFields } from '../request/invalid-request.ts';
import { predictCount, readLabelledImages, type LabelledImage } from '../request/labelled-images.ts';
import { chooseMediaType } from '../request/media-type.ts';
import { CHOICE_FIELDS, CHOICE_PROBLEMS } from '../request/model-choice.ts';
import type { TakenModel } from '../model-pool/model-pool.ts';
import { BINARY, curl, RUN_PROBLEMS, PICTURE_PROBLEMS, problemAnswers, refer } from '../description/openapi.ts';
import { isWorthLogging, toProblem } from '../problem.ts';
import { holdModel, type Services } from '../services.ts';
import { workAhead } from '../inference/work-ahead.ts';

/** Progress is told after so many pictures. */
const PROGRESS_IMAGES = 10;

const FORMS = { lines: 'application/x-ndjson', events: 'text/event-stream' } as const;

/** A field of a form is text; a number is one label. */
const LABELS: { type: ['string', 'integer'] } = { type: ['string', 'integer'] };

export const evaluateRoute = createRoute({
  method: 'post',
  path: '/evaluate',
  operationId: 'evaluate',
  summary: 'Evaluate a model on labelled pictures',
  description: `The same figures as /evaluation has, on your own pictures. Send records of the binary CIFAR-10 layout (${EVALUATION_MEDIA_TYPES.records}: the class, then the planes of a picture of the model's size), lines of {"image": base64, "label": class} (${EVALUATION_MEDIA_TYPES.lines}), or a form of files, with a field "labels" (class names or numbers, with commas) or with names that begin with the class (cat/12.png, cat-12.png). The answer is a stream of events, as lines of JSON or, with Accept: text/event-stream, as server-sent events: start, progress after every ${PROGRESS_IMAGES} pictures, result; or problem, which ends it. Indices are places in the request, from 0. Closing the connection ends the work. A server on Node takes 64 MiB and 25000 pictures, a Worker 8 MiB and 200, because of its time limit; more of these requests at once than the server takes are answered with 503.`,
  ...curl(
    `head -c 307300 test_batch.bin | curl -N -H 'content-type: application/octet-stream' --data-binary @- HOST/evaluate\ncurl -N -F file=@cat-1.jpg -F file=@dog-1.jpg HOST/evaluate`,
    CODE_SAMPLES.evaluate,
  ),
  request: {
    query: onlyFields(CHOICE_FIELDS),
    body: {
      required: true,
      content: {
        [EVALUATION_MEDIA_TYPES.records]: { schema: BINARY },
        [EVALUATION_MEDIA_TYPES.lines]: { schema: { type: 'string', description: 'lines of JSON' } },
        [EVALUATION_MEDIA_TYPES.form]: {
          schema: {
            type: 'object',
            description: 'one part for each file, and their labels',
            properties: { file: { type: 'array', items: BINARY, minItems: 1 }, labels: LABELS },
            required: ['file'],
          },
        },
      },
    },
  },
  responses: {
    200: {
      description: 'The events.',
      content: {
        [FORMS.lines]: { schema: refer(evaluationEventSchema) },
        [FORMS.events]: { schema: refer(evaluationEventSchema) },
      },
    },
    ...problemAnswers([
      'request/invalid',
      'request/unsupported-media-type',
      'request/not-acceptable',
      'request/malformed-json',
      'image/base64',
      ...CHOICE_PROBLEMS,
      ...PICTURE_PROBLEMS,
      ...RUN_PROBLEMS,
    ]),
  },
});

export function evaluate(services: Services): RouteHandler<typeof evaluateRoute> {
  let running = 0;
  return async (context) => {
    const type = chooseMediaType(context.req.header('accept'), [FORMS.lines, FORMS.events]);
    const { evaluation: limits } = services;
    if (running >= limits.running) {
      throw new ProductError('server/busy', `${running} evaluations go on, and no more do at once; try again later`);
    }
    running += 1;
    const { promise: ended, resolve: markEnded } = Promise.withResolvers<void>();
    context.set('bodyEnd', ended);
    const model = await holdModel(services, context, context.req.valid('query'), () => {
      running -= 1;
      markEnded();
    });
    const request = context.req.raw;
    const images = readLabelledImages(request, { manifest: model.manifest, limits });
    const answers = workAhead(images, (image) => classifyImage(model, image), model.classifier.lanes);
    try {
      // What is wrong from the start on is answered with its own status.
      const first = await answers.next();
      const events = evaluateImages(model, { first, answers, total: predictCount(request, model.manifest) });
      const body = streamEvents(events, {
        isServerSent: type === FORMS.events,
        describe: (error) => describeFailure(services, context, error),
        end: () => model.release(),
      });
      return context.body(body, 200, { 'content-type': type, 'cache-control': 'no-store' });
    } catch (error) {
      model.release();
      throw error;
    }
  };
}

interface LabelledAnswer {
  label: number;
  logits: Float32Array;
}

/** Errors: 'image/...', with the picture's place in the request. */
async function classifyImage(
  { classifier }: TakenModel,
  { input, label, index }: LabelledImage,
): Promise<LabelledAnswer> {
  if ('pixels' in input) return { label, logits: await classifier.classify(input.pixels) };
  try {
    return { label, logits: (await classifier.classifyFile(input.file)).logits };
  } catch (error) {
    if (!isRequestError(error) || !error.code.startsWith('image/')) throw error;
    const { code, message, details } = error;
    throw new ProductError(code, `picture ${index}: ${message}`, { details: { ...details, index }, cause: error });
  }
}

interface EvaluateOptions {
  first: IteratorResult<LabelledAnswer>;
  answers: AsyncGenerator<LabelledAnswer>;
  /** Null where nobody knows before the end. */
  total: number | null;
}

async function* evaluateImages(model: TakenModel, options: EvaluateOptions): AsyncGenerator<EvaluationEvent> {
  const { answers, total } = options;
  const { classNames, temperature } = model.manifest;
  const meter = new EvaluationMeter({ classNames, temperature });
  try {
    yield { type: 'start', model: model.reference, total };
    for (let next = options.first; next.done !== true; next = await answers.next()) {
      meter.add(next.value.logits, next.value.label);
      if (meter.n % PROGRESS_IMAGES !== 0) continue;
      yield { type: 'progress', n: meter.n, correct: meter.correct, accuracy: meter.correct / meter.n };
    }
    yield { type: 'result', model: model.reference, report: reportMeasurement(meter.summarize()) };
  } finally {
    await answers.return(undefined);
  }
}

/** The status is on its way already: the log and the metrics have the code. */
function describeFailure({ reportError }: Services, context: Context, error: unknown): Problem {
  const requestId = context.get('requestId');
  if (isWorthLogging(error)) reportError(error, requestId);
  const problem = toProblem(error, requestId);
  context.set('problemCode', problem.code);
  return problem;
}

interface StreamOptions {
  isServerSent: boolean;
  describe: (error: unknown) => Problem;
  /** Called once, also when the caller has left. */
  end: () => void;
}

/** Goes on only as fast as the caller reads, and ends when the caller leaves. */
function streamEvents(events: AsyncGenerator<EvaluationEvent>, options: StreamOptions): ReadableStream<Uint8Array> {
  const { isServerSent, describe, end } = options;
  const encoder = new TextEncoder();
  const write = (event: EvaluationEvent): Uint8Array => {
    const json = JSON.stringify(event, (_key, value: unknown) =>
      typeof value === 'number' ? toDecimal(value) : value,
    );
    return encoder.encode(isServerSent ? `event: ${event.type}\ndata: ${json}\n\n` : `${json}\n`);
  };
  // A stream that was cancelled takes nothing more, also of the pictures that were in work.
  let hasLeft = false;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { value, done } = await events.next();
        if (hasLeft) return;
        if (done !== true) return controller.enqueue(write(value));
      } catch (error) {
        if (hasLeft) return;
        controller.enqueue(write({ type: 'problem', problem: describe(error) }));
      }
      end();
      controller.close();
    },
    async cancel() {
      hasLeft = true;
      // Waits for the pictures that are in work, so that no model is freed under it.
      await events.return(undefined);
      end();
    },
  });
}
