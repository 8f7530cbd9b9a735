/** The fuzzer itself: a part of what the pipeline runs, and that it would see what it looks for. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { castDice } from './dice.ts';
import { findFault, parseDocument, type ApiDocument } from './check-answer.ts';
import { drawRequest } from './draw-request.ts';
import { IDLE } from './fuzz-plan.ts';
import { startFuzzedServer, type FuzzedServer } from './fuzzed-server.ts';
import { watchLanes } from './lane-watch.ts';
import { findGrowth } from './memory-watch.ts';
import { openRunner } from './run-inputs.ts';

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
    expect(findGrowth(flat)).toBeUndefined();
    const leaking = flat.map((sample, block) => ({ ...sample, wasm: sample.wasm + block * 16 }));
    expect(findGrowth(leaking)).toMatch(/^memory \(wasm\) grew from 64 to 640 MiB$/);
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
