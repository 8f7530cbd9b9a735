/** The fuzzer itself: a part of what the pipeline runs, and that it would see what it looks for. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { castDice } from './dice.ts';
import { findFault, parseDocument, type ApiDocument } from './check-answer.ts';
import { drawRequest } from './draw-request.ts';
import { IDLE, type FuzzEvent } from './fuzz-plan.ts';
import { startFuzzedServer, type FuzzedServer } from './fuzzed-server.ts';
import { watchLanes } from './lane-watch.ts';
import { findMemoryFault, type MemorySample } from './memory-watch.ts';
import { openRunner } from './run-inputs.ts';
import { startFuzzWorker } from './start-fuzz-worker.ts';

const SEED = 7;
const INPUTS = 400;

let server: FuzzedServer;

beforeAll(async () => {
  server = await startFuzzedServer();
});
afterAll(() => server.end());

describe('the fuzzer', () => {
  test(`finds nothing in ${INPUTS} inputs, and sound pictures are answered with the same bits after them`, async () => {
    const runner = await openRunner(server, { seed: SEED });
    const findings = [];
    for (let index = 0; index < INPUTS; index++) findings.push(await runner.run(index));
    findings.push(await runner.checkLife(INPUTS));
    expect(findings.filter((finding) => finding !== undefined)).toEqual([]);
    // It asks for what is right too, and for much that is wrong in several ways.
    expect([...runner.statuses.keys()]).toEqual(expect.arrayContaining([200, 400, 404, 413, 415, 422]));
  });

  test('draws the same input for a seed and an index whatever was drawn before, and others for others', () => {
    const inputs = Array.from({ length: 50 }, (_, index) => drawRequest(SEED, index));
    expect(drawRequest(SEED, 31)).toEqual(inputs[31]);
    expect(new Set(inputs.map((input) => JSON.stringify(input))).size).toBeGreaterThan(45);
    expect(drawRequest(SEED + 1, 30)).not.toEqual(inputs[31]);
    expect(castDice(1, 0).bits()).not.toBe(castDice(0, 1).bits());
  });

  test('names the input that is never answered', async () => {
    const lanes = new SharedArrayBuffer(2 * Float64Array.BYTES_PER_ELEMENT);
    const named = new Promise<number>((resolve) => {
      const watch = watchLanes(lanes, 100, resolve);
      onTestFinished(() => clearInterval(watch));
    });
    const places = new Float64Array(lanes);
    expect([...places]).toEqual([IDLE, IDLE]);
    places[1] = 1234;
    expect(await named).toBe(1234);
  });

  test('sees memory that grows behind the first tenth of a run, and not what comes and goes', () => {
    const flat = Array.from({ length: 40 }, (_, block) => ({ rss: 300 + (block % 3) * 20, heap: 40, wasm: 16 }));
    expect(findMemoryFault(flat)).toBeUndefined();
    const leaking = flat.map((sample, block) => ({ ...sample, wasm: sample.wasm + block * 16 }));
    expect(findMemoryFault(leaking)).toMatch(/^memory \(wasm\) grew from 64 to 640 MiB$/);
    expect(findMemoryFault(flat.map((sample) => ({ ...sample, wasm: 0 })))).toMatch(/^no WebAssembly memory is seen/);
  });

  test('sees the WebAssembly memory of the threads in which the server decodes and computes', async () => {
    const lanes = new SharedArrayBuffer(Float64Array.BYTES_PER_ELEMENT);
    const worker = startFuzzWorker({ seed: SEED, from: 0, count: 20, blockInputs: 10, lanes });
    onTestFinished(() => void worker.terminate());
    const samples = await new Promise<MemorySample[]>((resolve, reject) => {
      const taken: MemorySample[] = [];
      worker.on('error', reject);
      worker.on('message', (event: FuzzEvent) => {
        if (event.type === 'block') taken.push(event.memory);
        if (event.type === 'end') resolve(taken);
      });
    });
    expect(samples.length).toBe(2);
    for (const { wasm } of samples) expect(wasm).toBeGreaterThan(1);
  });

  test('tells all that the server reports, and every input that may have caused it', async () => {
    const runner = await openRunner(server, { seed: SEED });
    const running = [runner.run(1), runner.run(2)];
    server.reported.push(new Error('the first'), new Error('the second'));
    const found = (await Promise.all(running)).filter((finding) => finding !== undefined);
    expect(found.map(({ suspects }) => suspects)).toEqual([[1, 2]]);
    expect(found[0]?.fault).toMatch(/^the server reports Error: the first\n.*\nand Error: the second\n/s);
    server.reported.push(new Error('after the last input'));
    expect((await runner.checkLife(3))?.fault).toMatch(/after the last input/);
    expect(await runner.checkLife(3)).toBeUndefined();
  });
});

describe('what an answer must be', () => {
  const asked = { method: 'POST', path: '/classify?top_k=1' };
  let document: ApiDocument;

  beforeAll(async () => {
    document = parseDocument(await (await fetch(`${server.url}/openapi.json`)).json());
  });

  function judge({
    status = 400,
    code = 'request/invalid',
    type = 'application/problem+json',
    path = asked.path,
  } = {}) {
    const headers = new Headers({ 'content-type': type, 'x-content-type-options': 'nosniff' });
    const body = JSON.stringify({ type: 'a', title: 'b', status: 400, code, detail: 'c' });
    return findFault(document, { ...asked, path }, { status, headers, body });
  }

  test('a problem with a known code and a documented status', () => {
    expect(judge()).toBeUndefined();
  });

  test.each([
    ['a server error', { status: 500 }, /^status 500, where only 200, 400/],
    ['a status that the route does not name', { status: 409 }, /^status 409/],
    ['a refusal with the status of another', { status: 413 }, /another status/],
    ['a code that nobody knows', { code: 'request/odd' }, /no problem/],
    ['a problem of another type', { type: 'text/html' }, /of type text\/html/],
    [
      'a problem where the other protocol has its own words',
      { path: '/v2/models/a/infer' },
      /application\/json is expected/,
    ],
  ])('not %s', (_title, answer, fault) => {
    expect(judge(answer)).toMatch(fault);
  });

  test('nothing that tells how the server is made', () => {
    const headers = new Headers({ 'content-type': 'application/json', 'x-content-type-options': 'nosniff' });
    const body = JSON.stringify('Error\n    at classify (/srv/serve/app.ts:12:3)');
    expect(findFault(document, asked, { status: 200, headers, body })).toMatch(/tells of the inside/);
  });
});
