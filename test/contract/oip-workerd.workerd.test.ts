/** The contract of /v2 inside workerd, with the shipped model. */
import { exports } from 'cloudflare:workers';
import type { Send } from './api-client.ts';
import { describeOip } from './oip.ts';

const send: Send = (path, init) => exports.default.fetch(new Request(`https://worker.test${path}`, init));

describeOip('workerd', send);
