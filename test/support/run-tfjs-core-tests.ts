/**
 * Runs tests of tfjs-core itself, which ship in its package, on the edge backend, and prints what came of each as JSON.
 * They are written for jasmine and for a bundler, so they get both; started by a test as a program of its own, because
 * jasmine takes the global `describe`, `it` and `expect`.
 */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'vite';
import { compileEngineModule } from './edge-engine.ts';

const ROOT = join(import.meta.dirname, '../..');
const CORE = '@tensorflow/tfjs-core/dist';
const [output = '', ...specs] = process.argv.slice(2);

const SOURCES: Readonly<Record<string, string>> = {
  // Before the tests: they are declared for the environments that are there when they are loaded.
  'virtual:environment': `import { setTestEnvs } from '${CORE}/jasmine_util.js';
    setTestEnvs([{ name: 'edge', backendName: 'edge', isDataSync: true }]);`,
  // tfjs-core imports this package of CommonJS as a namespace, which Node does not take apart.
  'virtual:seedrandom': `import seedrandom from 'seedrandom'; export const { alea } = seedrandom;`,
  'virtual:tests': `import '${CORE}/public/chained_ops/register_all_chained_ops.js';
    import '${CORE}/register_all_gradients.js';
    import 'virtual:environment';
    ${specs.map((spec) => `import '${CORE}/ops/${spec}.js';`).join('\n')}
    export { startEdgeBackend } from '${ROOT}/shared/engine/backend.ts';`,
};

await build({
  root: ROOT,
  configFile: false,
  logLevel: 'error',
  resolve: { alias: [{ find: /^@tensorflow\/tfjs-core$/, replacement: `${CORE}/index.js` }] },
  ssr: { noExternal: [/@tensorflow/] },
  plugins: [
    {
      name: 'tests',
      enforce: 'pre',
      resolveId: (id, importer) => {
        if (id === 'seedrandom' && importer !== 'virtual:seedrandom') return 'virtual:seedrandom';
        return id in SOURCES ? id : null;
      },
      load: (id) => SOURCES[id] ?? null,
      // The package says that its tests have no side effects.
      transform: (code, id) =>
        /_test|register_all|chained_ops|gradients|virtual:/.test(id) ? { code, moduleSideEffects: true } : null,
    },
  ],
  build: {
    ssr: true,
    outDir: output,
    rolldownOptions: { input: 'virtual:tests', output: { entryFileNames: 'tests.mjs' } },
  },
});

interface Jasmine {
  core(parts: Jasmine): Jasmine;
  interface(core: Jasmine, environment: Environment): Record<string, unknown>;
  getEnv(): Environment;
}

interface Environment {
  configure(options: { random: boolean }): void;
  addReporter(reporter: { specDone(result: SpecResult): void }): void;
  execute(): Promise<void>;
}

interface SpecResult {
  fullName: string;
  status: string;
  failedExpectations: { message: string }[];
}

const require = createRequire(import.meta.url);
const parts = require('jasmine-core/lib/jasmine-core/jasmine.js') as Jasmine;
const jasmine = parts.core(parts);
const environment = jasmine.getEnv();
Object.assign(globalThis, parts.interface(jasmine, environment), { jasmine, require });
environment.configure({ random: false });
const { startEdgeBackend } = (await import(pathToFileURL(join(output, 'tests.mjs')).href)) as {
  startEdgeBackend: (module: WebAssembly.Module) => Promise<unknown>;
};
await startEdgeBackend(compileEngineModule());
const results: { name: string; problem?: string }[] = [];
environment.addReporter({
  specDone({ fullName, status, failedExpectations: [failed] }) {
    if (status === 'passed') results.push({ name: fullName });
    if (status === 'failed') results.push({ name: fullName, problem: failed?.message ?? '' });
  },
});
await environment.execute();
console.log(JSON.stringify(results));
