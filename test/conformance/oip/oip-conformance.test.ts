/** The conformance suite against the real Node server, against servers that deviate as others do, and as a command. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { startServer, type RunningServer } from '../../../serve/node/server.ts';
import { makeSharedFolder } from '../../support/temporary-folder.ts';
import { tinyArchitecture, writeTinyStore } from '../../support/tiny-model.ts';
import type { OipTarget, Send } from './oip-target.ts';
import { OIP_CASES, openTarget, runCase } from './run-conformance.ts';

let server: RunningServer;
let target: OipTarget;

beforeAll(async () => {
  const store = await makeSharedFolder();
  await writeTinyStore(store, { architecture: tinyArchitecture({ classes: 10 }) });
  const options = { host: '127.0.0.1', port: 0, store, page: 'web/dist' };
  server = await startServer({ ...options, reportError: (error) => console.error(error) });
  await server.ready;
  target = await openTarget({ send });
});
afterAll(() => server.close());

const send: Send = (path, init) => fetch(new URL(path, `${server.url}/`), init);

/** What this server and model have no use for. */
const NOT_APPLICABLE = ['FP16 in JSON is refused', 'a request that lacks one of several inputs is refused'];

describe('the Node server', () => {
  test.each(OIP_CASES)('$section: $name', async (each) => {
    const { outcome, reason } = await runCase(target, each);
    const expected = NOT_APPLICABLE.includes(each.name) ? 'not applicable' : 'pass';
    expect(outcome, reason).toBe(expected);
  });
});

/** Names of the cases that fail when answers pass through `change`. */
async function listFailures(spoilt: Send): Promise<string[]> {
  const results = [];
  for (const each of OIP_CASES) results.push(await runCase({ ...target, send: spoilt }, each));
  return results.filter(({ outcome }) => outcome === 'fail').map((result) => result.case.name);
}

function isInference(path: string, init?: RequestInit): init is RequestInit {
  return path.endsWith('/infer') && init?.method === 'POST';
}

describe('a server that deviates is told so', () => {
  test('one that wraps integers into their range', async () => {
    const failures = await listFailures((path, init) => {
      const body = typeof init?.body === 'string' ? init.body : '';
      const wrapped = body.replaceAll(/(?<=[[,])(-1|256|300)(?=[\],])/g, (text) => String(Number(text) & 255));
      return send(path, body === '' ? init : { ...init, body: wrapped });
    });
    expect(failures).toEqual([
      'a value above the datatype’s greatest is refused',
      'a value far above it (300 for UINT8) is refused',
      'a value below the datatype’s least is refused',
    ]);
  });

  test('one that has no versions but announces them', async () => {
    const failures = await listFailures(async (path, init) =>
      path.includes('/versions/') ? Response.json({ error: 'not supported' }, { status: 501 }) : send(path, init),
    );
    expect(failures).toEqual([
      'every version of the metadata has metadata and a readiness of its own',
      'the versioned path of model_version gives the same values',
    ]);
  });

  test('one whose errors are {"detail"}', async () => {
    const failures = await listFailures(async (path, init) => {
      const response = await send(path, init);
      return response.ok ? response : Response.json({ detail: await response.text() }, { status: 422 });
    });
    const expected = OIP_CASES.filter(({ name }) => / is refused$| is an error$|error body/.test(name));
    expect(failures).toEqual(expected.map(({ name }) => name).filter((name) => !NOT_APPLICABLE.includes(name)));
  });

  test('one that forgets the id and dies on a wrong shape', async () => {
    let isDead = false;
    const failures = await listFailures(async (path, init) => {
      if (isInference(path, init) && typeof init.body === 'string' && init.body.includes('-1,8,8,3')) isDead = true;
      if (isDead && path === 'v2/health/live') return new Response('', { status: 502 });
      const response = await send(path, init);
      if (response.headers.has('inference-header-content-length')) return response;
      return new Response((await response.text()).replace(/"id":".*?(?<!\\)",/, ''), response);
    });
    expect(failures).toContain('the id "42" comes back as it was');
    expect(failures).toContain('a negative size is refused');
    expect(failures).not.toContain('an unknown output is refused');
  });
});

describe('npm run oip:conformance', () => {
  test('lists every case and ends with 0 where all are passed', async () => {
    const { code, output } = await runCommand([server.url]);
    expect(output).toContain(`model "resnet18" at ${server.url}`);
    for (const { name } of OIP_CASES) expect(output).toContain(name);
    const musts = OIP_CASES.filter(({ level }) => level === 'must').length;
    expect(output).toContain(`must    ${musts - 1} passed, 0 failed, 1 not applicable`);
    expect(output).not.toContain('FAIL');
    expect(code).toBe(0);
  });

  test('ends with 1 where one is failed, and says how', async () => {
    const tensor = { name: 'x', datatype: 'FP32', shape: [-1] };
    const metadata = { name: 'm', platform: 'p', inputs: [tensor], outputs: [tensor] };
    const poor = createServer((request, response) => {
      const isServer = request.url === '/v2';
      response.end(JSON.stringify(isServer ? { name: 'poor', version: '1', extensions: [] } : metadata));
    }).listen(0, '127.0.0.1');
    onTestFinished(() => void poor.close());
    await once(poor, 'listening');
    const { port } = poor.address() as AddressInfo;
    const { code, output } = await runCommand([`http://127.0.0.1:${port}`, '--model', 'm']);
    expect(output).toContain('FAIL  an empty body is refused\n        status 200');
    expect(output).toContain('does not announce binary_tensor_data');
    expect(code).toBe(1);
  });

  test.each([
    { name: 'without a URL', args: [], says: /one URL is expected/ },
    { name: 'where nobody listens', args: ['http://127.0.0.1:9'], says: /nothing to test: fetch failed/ },
    { name: 'with an unknown option', args: ['http://127.0.0.1:9', '--modle', 'x'], says: /--modle/ },
  ])('ends with 2 $name', async ({ args, says }) => {
    const { code, output } = await runCommand(args);
    expect(output).toMatch(says);
    expect(code).toBe(2);
  });
});

async function runCommand(args: readonly string[]): Promise<{ code: number; output: string }> {
  const child = spawn(process.execPath, ['test/conformance/oip/oip-conformance.ts', ...args]);
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (output += data.toString()));
  const [code] = (await once(child, 'close')) as [number];
  return { code, output };
}
