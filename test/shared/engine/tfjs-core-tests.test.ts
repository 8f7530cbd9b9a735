/**
 * The tests of tfjs-core for the kernels that the edge backend registers. It serves the ops of our layer table, not all
 * that these ops can be: what it does not serve, it has to say.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../../..');

const SPECS = [
  ...['conv2d_test', 'fused/fused_conv2d_test', 'relu_test', 'sigmoid_test', 'softmax_test', 'max_pool_test'],
  ...['batchnorm_test', 'arithmetic_test'],
];

/** Data formats, dilations, activations, broadcasting, integers: refused by our kernels; other kernels are not there. */
const REFUSAL =
  /^ProductError: the op "\w+" on the edge backend|^Error: Kernel '\w+' not registered for backend 'edge'/;

test('each test of tfjs-core passes on edge, or is refused by name', { timeout: 120_000 }, async () => {
  // Inside the project, so that what is not bundled is found.
  const folder = mkdtempSync(join(ROOT, '.tsbuild/tfjs-core-tests-'));
  try {
    const program = join(ROOT, 'test/support/run-tfjs-core-tests.ts');
    const options = { maxBuffer: 2 ** 26, cwd: ROOT };
    const { stdout } = await promisify(execFile)(process.execPath, [program, folder, ...SPECS], options);
    const results = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as { name: string; problem?: string }[];
    const failed = results.filter(({ problem }) => problem !== undefined && !REFUSAL.test(problem));
    expect(failed).toEqual([]);
    expect(results.filter(({ problem }) => problem === undefined).length).toBeGreaterThan(120);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
