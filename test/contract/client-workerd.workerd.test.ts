/** The client inside workerd, as a Worker uses it: through a binding to the Worker with the shipped model. */
import { exports } from 'cloudflare:workers';
import { describeClient } from './client.ts';

describeClient('workerd', () => ({
  url: 'https://worker.test/',
  fetch: (request) => exports.default.fetch(request),
}));
