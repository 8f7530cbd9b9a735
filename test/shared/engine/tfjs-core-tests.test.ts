/**
 * The tests of tfjs-core for the kernels that the edge backend registers. It serves the ops of our layer table, not all
 * that these ops can be: what it does not serve, it has to say.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import type { SuiteResult } from '../../conformance/tfjs-core-suite.ts';

const ROOT = join(import.meta.dirname, '../../..');

/** Data formats, dilations, activations, broadcasting, integers: refused by our kernels; other kernels are not there. */
const REFUSAL =
  /^ProductError: the op "\w+" on the edge backend|^Error: Kernel '\w+' not registered for backend 'edge'/;

test('each test of tfjs-core passes on edge, or is refused by name', { timeout: 300_000 }, async () => {
  const options = { maxBuffer: 2 ** 26, cwd: ROOT };
  const { stdout } = await promisify(execFile)(process.execPath, [join(ROOT, 'test/conformance/edge.ts')], options);
  const { passed, failed } = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as SuiteResult;
  expect(failed.filter(({ message }) => !REFUSAL.test(message))).toEqual([]);
  expect(passed).toBeGreaterThan(120);
});
