/** The conformance suite inside workerd, with the shipped model. */
import { exports } from 'cloudflare:workers';
import { expect, test } from 'vitest';
import type { Send } from './oip-target.ts';
import { OIP_CASES, openTarget, runCase } from './run-conformance.ts';

const send: Send = (path, init) => exports.default.fetch(new Request(`https://worker.test/${path}`, init));

test('the Worker passes every case that is for it', async () => {
  const target = await openTarget({ send });
  const results = [];
  for (const each of OIP_CASES) results.push(await runCase(target, each));
  const failed = results.filter(({ outcome }) => outcome === 'fail');
  expect(failed.map((result) => `${result.case.name}: ${result.reason}`)).toEqual([]);
  expect(results.filter(({ outcome }) => outcome === 'pass').length).toBe(OIP_CASES.length - 2);
}, 120_000);
