/** What the routes work with. A platform's edge makes it; the routes know no platform. */
import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import { MODEL_ID_HEADER, MODEL_MODE_HEADER, MODEL_SEQ_HEADER, type ModelReference } from '../shared/api.ts';
import type { AllowedOrigins } from './access/cors.ts';
import type { FoundModel, ModelChoice, ModelPool, TakenModel } from './model-pool/model-pool.ts';
import type { EvaluationLimits } from './request/labelled-images.ts';
import type { ObserveOptions } from './observation/observer.ts';
import type { PageFiles } from './page-files.ts';
import type { RateRule } from './access/rate-limit.ts';
import type { SampleShelf } from './samples.ts';

export interface Services {
  models: ModelPool;
  samples: SampleShelf;
  /** What one evaluation on a caller's pictures may take. */
  evaluation: EvaluationLimits;
  /** Keep work going that a request began and others wait for, also when that request ends. */
  keepAlive: (context: Context, work: Promise<unknown>) => void;
  /** For errors that the caller did not cause; `requestId` names the request that met it. */
  reportError: (error: unknown, requestId?: string) => void;
  /** Answers where no route does. */
  page: PageFiles;
  /** Whom the operator lets in, and how often. Default: everybody, always. */
  access?: Access;
  /** Who is told of requests. Default: nobody. */
  observe?: ObserveOptions;
  /** What /metrics shows. Default: nothing. */
  writeMetrics?: () => Promise<string>;
  /** How long a request's body may keep the server waiting. Default: {@link DEFAULT_UPLOAD_WAIT_MS}. */
  uploadWaitMs?: number;
}

export interface Access {
  /** Default: all. */
  origins?: AllowedOrigins;
  /** For /evaluate. Default: none is needed. */
  keys?: readonly string[];
  /** Default: no limit. */
  rate?: RateRule;
}

declare module 'hono' {
  interface ContextVariableMap {
    /**
     * What the request has taken, to be given back when it is answered. In no WeakMap: V8 keeps the values of an old one,
     * and all that they hold, until the old generation is collected.
     */
    takenModels?: TakenModel[];
  }
}

/**
 * The model that answers this request, which the answer names in its headers. It is given back when the answer has been
 * made; an answer that still uses the model while its body is sent takes one of its own from `services.models`.
 *
 * Errors   'model/unknown', 'channel/unknown', 'request/invalid', 'server/not-ready'
 */
export async function takeModel(services: Services, context: Context, choice: ModelChoice = {}): Promise<TakenModel> {
  const keepAlive = (work: Promise<unknown>): void => services.keepAlive(context, work);
  const model = await services.models.take(choice, keepAlive);
  const { promise: answered, resolve: markAnswered } = Promise.withResolvers<void>();
  // Where a platform ends a request whose caller has left, nobody would give its model back.
  keepAlive(answered);
  const classifier = model.classifier.forCaller({ signal: context.req.raw.signal });
  const lent = { ...model, classifier, release: () => (model.release(), markAnswered()) };
  context.set('takenModels', [...(context.get('takenModels') ?? []), lent]);
  nameModel(context, model.reference);
  context.header(MODEL_MODE_HEADER, model.reference.mode);
  return lent;
}

/**
 * The same for an answer that uses the model while its body is sent: it is given back by `release()` only, which then
 * calls `released`, once; so is `released` when no model could be taken.
 */
export async function holdModel(
  services: Services,
  context: Context,
  choice: ModelChoice,
  released: () => void,
): Promise<TakenModel> {
  const keepAlive = (work: Promise<unknown>): void => services.keepAlive(context, work);
  let model: TakenModel;
  try {
    model = await services.models.take(choice, keepAlive);
  } catch (error) {
    released();
    throw error;
  }
  const { promise: ended, resolve: markEnded } = Promise.withResolvers<void>();
  keepAlive(ended);
  nameModel(context, model.reference);
  let isHeld = true;
  return {
    ...model,
    classifier: model.classifier.forCaller({ signal: context.req.raw.signal, isStreamed: true }),
    release() {
      if (!isHeld) return;
      isHeld = false;
      model.release();
      markEnded();
      released();
    },
  };
}

/** The same for an answer that needs no loaded model, only its files. Errors: the same. */
export async function findModel(services: Services, context: Context, choice: ModelChoice): Promise<FoundModel> {
  const model = await services.models.find(choice, (work) => services.keepAlive(context, work));
  nameModel(context, { id: model.modelId, seq: model.pointer?.seq ?? null });
  return model;
}

function nameModel(context: Context, { id, seq }: Pick<ModelReference, 'id' | 'seq'>): void {
  context.header(MODEL_ID_HEADER, id);
  if (seq !== null) context.header(MODEL_SEQ_HEADER, String(seq));
}

/** Around every request: whatever happened in it, its models are given back. */
export const giveBackModels = createMiddleware(async (context, next) => {
  try {
    await next();
  } finally {
    for (const model of context.get('takenModels') ?? []) model.release();
  }
});
