/** Three test projects, told apart by file name: plain Node, inside real workerd, and real Chromium driven from Node. */
import { cloudflareTest } from '@cloudflare/vitest-plugin';
import { defineConfig } from 'vitest/config';

const WORKERD_TESTS = 'test/**/*.workerd.test.ts';
const CHROMIUM_TESTS = 'test/**/*.chromium.test.ts';
const PLANTED_VIOLATIONS = 'test/surface/planted/**';

export default defineConfig({
  test: {
    // The last line of standard output is `N passed, N failed, N skipped`.
    reporters: ['default', './test/support/closing-line-reporter.ts'],
    // Tests train small networks and start servers: on a small machine more processes only make each other slow.
    maxWorkers: 2,
    projects: [
      {
        test: {
          name: 'node',
          include: ['test/**/*.test.ts'],
          exclude: [WORKERD_TESTS, CHROMIUM_TESTS, PLANTED_VIOLATIONS],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        plugins: [cloudflareTest({ wrangler: { configPath: './wrangler.toml' } })],
        test: {
          name: 'workerd',
          include: [WORKERD_TESTS],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'chromium',
          include: [CHROMIUM_TESTS],
          globalSetup: './test/support/chromium-setup.ts',
          testTimeout: 60_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
