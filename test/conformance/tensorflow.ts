/**
 * `npm run test:tensorflow`: TensorFlow.js' own tests on the TensorFlow that `npm run setup:tensorflow` built. The tests
 * that tfjs-node itself leaves out for its backend are left out here too.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import vm from 'node:vm';
import { findSetupFolder, loadTensorFlowAddon } from '../../train/engine/tensorflow/addon.ts';
import { runTfjsCoreSuite } from './tfjs-core-suite.ts';

/** What fails with TensorFlow 2.21 and is no fault of the build. The README names each. */
const KNOWN_FAILURES: readonly string[] = ['round test-tensorflow {} int32'];

const { tensorFlowVersion, packageVersion, cuda } = loadTensorFlowAddon();
console.log(`TensorFlow ${tensorFlowVersion} ${cuda ? 'GPU' : 'CPU'} through tfjs-node-gpu ${packageVersion}`);
const ignored = await readIgnoreList();
const { passed, failed, leftOut } = await runTfjsCoreSuite({
  backendName: 'tensorflow',
  isIncluded: (name) => !ignored.some((start) => name.startsWith(start)),
});
for (const { name, message } of failed) {
  console.log(`${KNOWN_FAILURES.includes(name) ? 'known' : 'FAILED'}: ${name}\n  ${message.slice(0, 300)}`);
}
const unknown = failed.filter(({ name }) => !KNOWN_FAILURES.includes(name));
console.log(
  `${passed} of ${passed + failed.length} tests of tfjs-core pass; ${unknown.length} fail that are not known to; ${leftOut} are left out, as in tfjs-node's own run`,
);
process.exit(unknown.length === 0 && passed > 3000 ? 0 : 1);

/** The list is a constant inside a script that starts the tests when it is loaded: it is read, not loaded. */
async function readIgnoreList(): Promise<string[]> {
  const path = join(findSetupFolder(), 'node_modules/@tensorflow/tfjs-node-gpu/dist/run_tests.js');
  const script = await readFile(path, 'utf8');
  const list = /var IGNORE_LIST = (?<list>\[[\s\S]*?\n\]);/.exec(script)?.groups?.['list'];
  if (list === undefined) throw new Error(`internal: ${path} has no IGNORE_LIST any more`);
  return vm.runInNewContext(list) as string[];
}
