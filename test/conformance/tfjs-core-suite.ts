/**
 * TensorFlow.js' own tests of its operations, which its npm package ships (`dist/**\/*_test.js`), run against a backend of
 * ours in this process. They are written for Jasmine and for a bundler: both are brought here and nowhere else.
 */
import { rm, mkdtemp, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'vite';
import type { Plugin } from 'vite';

const require = createRequire(import.meta.url);
const ROOT = join(import.meta.dirname, '../..');

/** What is used of Jasmine; its package has no types. */
interface Jasmine {
  getEnv(): {
    configure(options: {
      random: boolean;
      forbidDuplicateNames: boolean;
      specFilter: (spec: { getFullName(): string }) => boolean;
    }): void;
    addReporter(reporter: { specDone(result: SpecResult): void }): void;
    execute(): Promise<unknown>;
  };
}

interface SpecResult {
  fullName: string;
  status: 'passed' | 'failed' | 'excluded' | 'pending';
  failedExpectations: readonly { message: string }[];
}

export interface SuiteRequest {
  /** A backend that is registered in this process and current. */
  backendName: string;
  /** Whether a test is run, by its full name: "add test-<backend> {} broadcast"; without it all are. */
  isIncluded?: (fullName: string) => boolean;
  /** The files of tests, below `dist/` and without `.js`; without it all of them. */
  files?: readonly string[];
}

export interface SuiteResult {
  passed: number;
  /** In the order in which they ran. */
  failed: readonly { name: string; message: string }[];
  /** Tests that `isIncluded` left out, and those that switch themselves off for the backend. */
  leftOut: number;
}

/** Run the tests once. The process is not fit for other tests afterwards: Jasmine's functions are global. */
export async function runTfjsCoreSuite({
  backendName,
  isIncluded = () => true,
  files = ['tests'],
}: SuiteRequest): Promise<SuiteResult> {
  // Inside the project, whose packages Vite may read.
  const folder = await mkdtemp(join(ROOT, 'node_modules/.tfjs-core-suite-'));
  try {
    const jasmine: Jasmine = require('jasmine-core').boot();
    let passed = 0;
    let leftOut = 0;
    const failed: { name: string; message: string }[] = [];
    const env = jasmine.getEnv();
    env.configure({
      random: false,
      forbidDuplicateNames: false,
      specFilter: (spec) => isIncluded(spec.getFullName()),
    });
    env.addReporter({
      specDone({ fullName, status, failedExpectations }) {
        if (status === 'passed') passed += 1;
        else if (status === 'failed') failed.push({ name: fullName, message: failedExpectations[0]?.message ?? '' });
        else leftOut += 1;
      },
    });
    await import(pathToFileURL(await bundleTests(folder, backendName, files)).href);
    await env.execute();
    return { passed, failed, leftOut };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The package declares its test files free of side effects; running them is nothing but a side effect. */
const KEEP_SIDE_EFFECTS: Plugin = {
  name: 'keep-side-effects',
  enforce: 'pre',
  async resolveId(source, importer, options) {
    const resolved = await this.resolve(source, importer, { ...options, skipSelf: true });
    return resolved && { ...resolved, moduleSideEffects: true };
  },
};

async function bundleTests(folder: string, backendName: string, files: readonly string[]): Promise<string> {
  const entry = join(folder, 'entry.js');
  const environment = { name: `test-${backendName}`, backendName, flags: {}, isDataSync: true };
  await writeFile(
    entry,
    `import '@tensorflow/tfjs-core/dist/public/chained_ops/register_all_chained_ops';
import '@tensorflow/tfjs-core/dist/register_all_gradients';
import { setTestEnvs } from '@tensorflow/tfjs-core/dist/jasmine_util';
setTestEnvs([${JSON.stringify(environment)}]);
${files.map((file) => `await import('@tensorflow/tfjs-core/dist/${file}');`).join('\n')}
`,
  );
  await build({
    configFile: false,
    logLevel: 'error',
    root: ROOT,
    ssr: { noExternal: true },
    plugins: [KEEP_SIDE_EFFECTS],
    build: {
      ssr: entry,
      outDir: join(folder, 'out'),
      minify: false,
      rolldownOptions: { output: { entryFileNames: 'suite.mjs' } },
    },
  });
  return join(folder, 'out/suite.mjs');
}
