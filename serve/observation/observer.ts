/**
 * What happens in the server, told to whoever counts or writes it down: metrics and a log on Node, a log and an analytics
 * data set on Workers. The routes know no more of that than this.
 */
import type { Context } from 'hono';
import { createMiddleware } from 'hono/factory';
import { matchedRoutes } from 'hono/route';
import { MODEL_ID_HEADER } from '../../shared/api.ts';
import type { ErrorCode } from '../../shared/errors.ts';

export interface AnsweredRequest {
  requestId: string;
  method: string;
  /** The route's pattern, never the path: `/models/:id`; FILE_ROUTE or NO_ROUTE where no route answers. */
  route: string;
  status: number;
  /** Until the last byte was made, in ms; absent where the clock stands still while the server computes. */
  durationMs?: number;
  /** Of the model that answered. */
  modelId?: string;
  /** Of the problem that was answered. */
  code?: ErrorCode;
}

export interface Observer {
  requestBegan?(): void;
  requestAnswered?(request: AnsweredRequest): void;
  /** A picture that the decoder refused, also one of several in a form. */
  pictureRefused?(code: ErrorCode): void;
  /** Of the model, on one picture. */
  inferenceDone?(seconds: number): void;
}

const FILE_ROUTE = '(file)';
export const NO_ROUTE = '(none)';

declare module 'hono' {
  interface ContextVariableMap {
    /** Of the problem that this request is answered with. */
    problemCode: ErrorCode | undefined;
    isFile: boolean | undefined;
    /** Settles when a body that is made while it is sent has ended. */
    bodyEnd: Promise<void> | undefined;
  }
}

/** Each of them is told. */
export function joinObservers(observers: readonly Observer[]): Required<Observer> {
  return {
    requestBegan: () => observers.forEach((each) => each.requestBegan?.()),
    requestAnswered: (request) => observers.forEach((each) => each.requestAnswered?.(request)),
    pictureRefused: (code) => observers.forEach((each) => each.pictureRefused?.(code)),
    inferenceDone: (seconds) => observers.forEach((each) => each.inferenceDone?.(seconds)),
  };
}

export interface ObserveOptions {
  observer: Observer;
  /** Milliseconds from any beginning; absent where the clock stands still while the server computes. */
  now?: () => number;
}

/** Around every request; the request's id is chosen before. */
export const observeRequests = ({ observer, now }: ObserveOptions) =>
  createMiddleware(async (context, next) => {
    const startedMs = now?.();
    observer.requestBegan?.();
    await next();
    const tell = (): void => {
      const durationMs = startedMs === undefined ? undefined : (now?.() ?? startedMs) - startedMs;
      observer.requestAnswered?.(describeRequest(context, durationMs));
    };
    const bodyEnd = context.get('bodyEnd');
    if (bodyEnd === undefined) tell();
    else void bodyEnd.then(tell);
  });

function describeRequest(context: Context, durationMs: number | undefined): AnsweredRequest {
  const modelId = context.res.headers.get(MODEL_ID_HEADER);
  const code = context.get('problemCode');
  return {
    requestId: context.get('requestId'),
    method: context.req.method,
    route: findRoute(context),
    status: context.res.status,
    ...(durationMs === undefined ? {} : { durationMs }),
    ...(modelId === null ? {} : { modelId }),
    ...(code === undefined ? {} : { code }),
  };
}

function findRoute(context: Context): string {
  if (context.get('isFile') === true) return FILE_ROUTE;
  const path = matchedRoutes(context).at(-1)?.path ?? '*';
  return path.includes('*') ? NO_ROUTE : path;
}
