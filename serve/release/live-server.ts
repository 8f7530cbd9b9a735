/** Asks a live server for the classes of pictures, as any client would. */
import { classificationSchema, MODEL_ID_HEADER } from '../../shared/api.ts';
import { ProductError } from '../../shared/errors.ts';
import type { ExpectedAnswers } from './known-answers.ts';

export interface AskOptions {
  /** Without a slash at the end. */
  url: string;
  expected: ExpectedAnswers;
  /** How long another model, or none, may answer before it is an error. */
  waitMs: number;
  /** Undefined for the server's default channel. */
  channel: string | undefined;
  /** How long one answer may take. Default: {@link ANSWER_MS}. */
  answerMs?: number;
}

const TRY_AGAIN_MS = 500;
/** A server that takes the request and says nothing for so long says nothing. */
const ANSWER_MS = 30_000;

/**
 * Logits of each picture, in the order of the classes.
 *
 * Errors   'verify/unreachable', 'verify/other-model', 'verify/mismatch' for an answer that is none
 */
export async function askServer(options: AskOptions): Promise<number[][]> {
  const { url, expected, waitMs, channel, answerMs = ANSWER_MS } = options;
  const { classNames, modelId } = expected.manifest;
  const query = new URLSearchParams({
    top_k: String(classNames.length),
    ...(channel === undefined ? {} : { channel }),
  });
  const address = `${url}/classify?${query.toString()}`;
  const deadline = Date.now() + waitMs;
  const answers: number[][] = [];
  for (const { name, bytes } of expected.pictures) {
    const body = await classifyUntil(address, bytes, { modelId, deadline, answerMs });
    const parsed = classificationSchema.safeParse(body);
    const logits = parsed.success ? orderLogits(parsed.data.predictions, classNames) : undefined;
    if (logits === undefined) {
      throw new ProductError(
        'verify/mismatch',
        `${address} does not answer picture ${name} with the ${classNames.length} classes of the model; look at the server's version`,
      );
    }
    answers.push(logits);
  }
  return answers;
}

async function classifyUntil(
  address: string,
  bytes: Uint8Array<ArrayBuffer>,
  { modelId, deadline, answerMs }: { modelId: string; deadline: number; answerMs: number },
): Promise<unknown> {
  for (;;) {
    const answer = await classify(address, bytes, { modelId, answerMs });
    if (!(answer instanceof ProductError)) return answer.body;
    if (Date.now() >= deadline) throw answer;
    await new Promise((resolve) => setTimeout(resolve, TRY_AGAIN_MS));
  }
}

/** The error that it is if it stays so. */
async function classify(
  address: string,
  bytes: Uint8Array<ArrayBuffer>,
  { modelId, answerMs }: { modelId: string; answerMs: number },
): Promise<{ body: unknown } | ProductError> {
  let response: Response;
  let text: string;
  try {
    const headers = { 'content-type': 'application/octet-stream' };
    response = await fetch(address, { method: 'POST', body: bytes, headers, signal: AbortSignal.timeout(answerMs) });
    text = await response.text();
  } catch (cause) {
    const reason = cause instanceof Error && cause.cause instanceof Error ? cause.cause.message : String(cause);
    return new ProductError('verify/unreachable', `${address} does not answer (${reason}); start the server`, {
      cause,
    });
  }
  const answering = response.headers.get(MODEL_ID_HEADER);
  if (answering !== null && answering !== modelId) {
    return new ProductError(
      'verify/other-model',
      `the server answers with model ${answering.slice(0, 8)}, the champion is ${modelId.slice(0, 8)}; does it follow this store, and is this its channel?`,
      { details: { answering, champion: modelId } },
    );
  }
  if (!response.ok || answering === null) {
    return new ProductError(
      'verify/unreachable',
      `${address} answers with status ${response.status} and ${answering === null ? `without ${MODEL_ID_HEADER}` : 'no classes'}: ${text.slice(0, 300)}; look at the server's log`,
    );
  }
  return { body: parseBody(text) };
}

function parseBody(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Undefined unless there is exactly one prediction of each class, under its name. */
function orderLogits(
  predictions: readonly { index: number; label: string; logit: number }[],
  classNames: readonly string[],
): number[] | undefined {
  const byIndex = new Map(predictions.map((each) => [each.index, each]));
  const ordered = classNames.map((label, index) =>
    byIndex.get(index)?.label === label ? byIndex.get(index) : undefined,
  );
  const logits = ordered.flatMap((each) => (each === undefined ? [] : [each.logit]));
  return logits.length === classNames.length ? logits : undefined;
}
