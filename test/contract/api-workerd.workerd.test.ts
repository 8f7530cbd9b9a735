/** The API contract inside workerd: the Worker as it is deployed, with the shipped model and the built page as assets. */
import { createExecutionContext } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import worker from '../../serve/worker.ts';
import { describeApiErrors } from './api-errors.ts';
import { describeApi } from './api.ts';
import { describeEvaluateApi } from './api-evaluate.ts';
import { describeEvaluationApi } from './api-evaluation.ts';
import { describeExplain } from './explain.ts';
import type { Send } from './api-client.ts';

const send: Send = (path, init) => exports.default.fetch(new Request(`https://worker.test${path}`, init));

/** A stream that fails stands for a connection that does; given to the Worker by hand, or the platform would end it well. */
async function sendBroken(): Promise<Response> {
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new Uint8Array(100)),
    pull: (controller) => controller.error(new Error('gone')),
  });
  const request = new Request('https://worker.test/classify', { method: 'POST', body });
  return worker.fetch(request as Parameters<typeof worker.fetch>[0], env, createExecutionContext());
}

describeApi('workerd', send);
describeEvaluationApi('workerd', send);
describeEvaluateApi('workerd', send);
describeExplain('workerd', send);
describeApiErrors('workerd', { send, sendBroken });
