/** What a server says about itself and its model, and what it says where there is nothing. */
import { z } from 'zod';
import { demand, given, show, type OipCase } from './oip-case.ts';
import * as oip from './oip-target.ts';

const UNKNOWN = 'no-model-has-this-name';

const indexSchema = z.array(
  z.object({
    name: z.string(),
    version: z.string().optional(),
    state: z.enum(['UNKNOWN', 'READY', 'UNAVAILABLE', 'LOADING', 'UNLOADING']),
    reason: z.string(),
  }),
);

export const SERVER_CASES: readonly OipCase[] = [
  {
    name: 'GET v2 names the server, its version and its extensions',
    section: 'Server Metadata',
    level: 'must',
    run: async ({ send }) => void (await oip.readBody(await send('v2'), oip.serverMetadataSchema)),
  },
  {
    name: 'GET v2/health/live answers 200',
    section: 'Server Live',
    level: 'must',
    run: async ({ send }) => demandStatus(await send('v2/health/live'), 200),
  },
  {
    name: 'its body is {"live": true}',
    section: 'Server Live',
    level: 'should',
    run: async ({ send }) =>
      void (await oip.readBody(await send('v2/health/live'), z.object({ live: z.literal(true) }))),
  },
  {
    name: 'GET v2/health/ready answers 200 when the server is ready',
    section: 'Server Ready',
    level: 'must',
    run: async ({ send }) => demandStatus(await send('v2/health/ready'), 200),
  },
  {
    name: 'its body has the field "live" of the text or the field "ready" of the servers',
    section: 'Server Ready',
    level: 'should',
    run: async ({ send }) => {
      const fields = z.union([z.object({ live: z.literal(true) }), z.object({ ready: z.literal(true) })]);
      await oip.readBody(await send('v2/health/ready'), fields);
    },
  },
  {
    name: 'GET v2/models/{name} describes the model with its tensors',
    section: 'Model Metadata',
    level: 'must',
    async run({ send, model }) {
      const metadata = await oip.readBody(await send(oip.modelPath(model)), oip.modelMetadataSchema);
      demand(metadata.name === model, `it is called ${show(metadata.name)}`);
      demand(metadata.inputs.length > 0 && metadata.outputs.length > 0, 'it has no inputs or no outputs');
    },
  },
  {
    name: 'GET v2/models/{name}/ready answers 200',
    section: 'Model Ready',
    level: 'must',
    run: async ({ send, model }) => demandStatus(await send(`${oip.modelPath(model)}/ready`), 200),
  },
  {
    name: 'its body has the name of the model and "ready": true',
    section: 'Model Ready',
    level: 'should',
    async run({ send, model }) {
      const schema = z.object({ name: z.literal(model), ready: z.literal(true) });
      await oip.readBody(await send(`${oip.modelPath(model)}/ready`), schema);
    },
  },
  {
    name: 'every version of the metadata has metadata and a readiness of its own',
    section: 'Model Metadata',
    level: 'must',
    async run({ send, model, metadata: { versions = [] } }) {
      given(versions.length > 0, 'the metadata lists no versions');
      for (const version of versions.slice(0, 3)) {
        const { name } = await oip.readBody(await send(oip.modelPath(model, version)), oip.modelMetadataSchema);
        demand(name === model, `version ${version} is called ${show(name)}`);
        await demandStatus(await send(`${oip.modelPath(model, version)}/ready`), 200);
      }
    },
  },
  {
    name: 'metadata of an unknown model is an error',
    section: 'Model Metadata Response JSON Error Object',
    level: 'must',
    run: async ({ send }) => void (await oip.readRefusal(await send(oip.modelPath(UNKNOWN)))),
  },
  {
    name: 'an unknown model is not ready',
    section: 'Model Ready',
    level: 'must',
    async run({ send }) {
      const { status } = await send(`${oip.modelPath(UNKNOWN)}/ready`);
      demand(status >= 400, `status ${status}`);
    },
  },
  {
    name: 'inference with an unknown model is an error',
    section: 'Inference Response JSON Error Object',
    level: 'must',
    async run(target) {
      const path = oip.inferPath({ model: UNKNOWN });
      await oip.readRefusal(await oip.postJson(target, { inputs: oip.makeInputs(target) }, path));
    },
  },
  ...['metadata', 'inference'].map((what): OipCase => ({
    name: `${what} of an unknown version is an error`,
    section: what === 'metadata' ? 'Model Metadata Response JSON Error Object' : 'Inference Response JSON Error Object',
    level: 'must',
    async run(target) {
      const { send, model } = target;
      const version = '987654321';
      const response =
        what === 'metadata'
          ? await send(oip.modelPath(model, version))
          : await oip.postJson(target, { inputs: oip.makeInputs(target) }, oip.inferPath(target, version));
      const text = await response.text();
      // 501: a server without versions says so.
      demand(response.status >= 400 && response.status <= 501, `status ${response.status}: ${show(text)}`);
      oip.readErrorText(text);
    },
  })),
  {
    name: 'an unknown path is 404 with an error body',
    section: 'HTTP/REST',
    level: 'should',
    async run({ send }) {
      const response = await send('v2/nothing/is/here');
      demand(response.status === 404, `status ${response.status}`);
      await oip.readRefusal(response);
    },
  },
  {
    name: 'GET of an inference path is 405 with an error body and the header Allow',
    section: 'HTTP/REST',
    level: 'should',
    async run(target) {
      const response = await target.send(oip.inferPath(target));
      demand(response.status === 405, `status ${response.status}`);
      demand(/\bPOST\b/.test(response.headers.get('allow') ?? ''), `Allow is ${show(response.headers.get('allow'))}`);
      await oip.readRefusal(response);
    },
  },
  {
    name: 'POST v2/repository/index lists the model',
    section: 'Model Repository Extension',
    level: 'should',
    async run({ send, model }) {
      const response = await send('v2/repository/index', { method: 'POST' });
      given(response.status !== 404 && response.status !== 405, 'the server has no repository index');
      const index = await oip.readBody(response, indexSchema);
      demand(
        index.some(({ name, state }) => name === model && state === 'READY'),
        `${model} is not READY in ${show(index)}`,
      );
    },
  },
];

async function demandStatus(response: Response, status: number): Promise<void> {
  const text = await response.text();
  demand(response.status === status, `status ${response.status}: ${show(text)}`);
}
