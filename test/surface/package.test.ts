/** What `npm pack` ships, used as one who installed it does: plain JavaScript, declarations, the example of each page. */
import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startServer, type RunningServer } from '../../serve/node/server.ts';
import { installPackage, readExample, runIn } from '../support/packed-package.ts';
import { makeSharedFolder } from '../support/temporary-folder.ts';

const TSC = resolve('node_modules/.bin/tsc');

const PAGES = {
  client: 'shared/client/README.md',
  engine: 'shared/engine/README.md',
  'graph-model': 'train/convert/README.md',
} as const;

let folder: string;
let server: RunningServer;

beforeAll(async () => {
  folder = await makeSharedFolder();
  await installPackage(folder, ['@types/node']);
  const options = { host: '127.0.0.1', port: 0, store: 'no-such-folder', page: 'web/dist' };
  server = await startServer({ ...options, reportError: (error) => expect.fail(String(error)) });
  await server.ready;
  // The bytes decide what a picture is, not its name.
  await cp('web/public/samples/automobile-red.png', join(folder, 'car.jpg'));
  const [model = ''] = (await readdir('serve/models')).filter((name) => /^[0-9a-f]{64}$/.test(name));
  await cp(join('serve/models', model), join(folder, 'model'), { recursive: true });
  for (const [name, page] of Object.entries(PAGES)) {
    const example = await readExample(page);
    await writeFile(join(folder, `${name}.ts`), example.replaceAll('http://127.0.0.1:8787', server.url));
  }
}, 120_000);
afterAll(() => server.close());

/** Runs a module in the project that has the package installed. */
async function runModule(file: string): Promise<string> {
  const { printed } = await runIn(folder, process.execPath, ['--disable-warning=ExperimentalWarning', file]);
  return printed.trimEnd();
}

describe('the installed package', () => {
  test('exports these names to plain JavaScript, and nothing outside its entry points', async () => {
    const script = `
      for (const name of ['client', 'engine', 'graph-model']) {
        console.log(name, Object.keys(await import('resnet18-edge/' + name)).join(' '));
      }
      await import('resnet18-edge/serve/app.ts').catch(({ code }) => console.log(code));`;
    await writeFile(join(folder, 'names.js'), script);
    expect((await runModule('names.js')).split('\n')).toEqual([
      'client ApiError Client OipClient',
      'engine EDGE_BACKEND ProductError chooseVariant edgeModelHandler startEdgeBackend',
      'graph-model GraphBuilder ProductError attribute encodeGraphModel',
      'ERR_PACKAGE_PATH_NOT_EXPORTED',
    ]);
  });

  test('ships nothing but built code, kernels, pages and its licence', async () => {
    const home = join(folder, 'node_modules/resnet18-edge');
    const files = (await readdir(home, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    const kinds = files.map(({ parentPath, name }) => join(parentPath, name).slice(home.length + 1));
    expect(kinds.filter((path) => !/^dist\/.*\.(js|d\.ts)$/.test(path)).toSorted()).toEqual([
      'LICENSE',
      'README.md',
      'package.json',
      'shared/client/README.md',
      'shared/engine/README.md',
      'shared/engine/wasm/edge-relaxed-short.wasm',
      'shared/engine/wasm/edge-relaxed.wasm',
      'shared/engine/wasm/edge-simd.wasm',
      'train/convert/README.md',
    ]);
  });

  test('has declarations that a strict compiler accepts with the example of each page', async () => {
    const compilerOptions = {
      target: 'es2022',
      module: 'nodenext',
      strict: true,
      noEmit: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      types: ['node'],
    };
    const check = async (
      name: string,
      { files, ...options }: { files: string[]; lib?: string[]; skipLibCheck?: boolean },
    ) => {
      await writeFile(
        join(folder, name),
        JSON.stringify({ compilerOptions: { ...compilerOptions, ...options }, files }),
      );
      await runIn(folder, TSC, ['--project', name]);
    };
    await check('client.json', { files: ['client.ts', 'graph-model.ts'] });
    await check('browser.json', { files: ['client.ts'], lib: ['es2022', 'dom', 'dom.iterable'] });
    // The declarations of tfjs name types of platforms that this project does not have.
    await check('engine.json', { files: ['engine.ts'], skipLibCheck: true });
    await writeFile(
      join(folder, 'wrong.ts'),
      `${await readFile(join(folder, 'client.ts'), 'utf8')}\nclient.classify(7);\n`,
    );
    await expect(check('wrong.json', { files: ['wrong.ts'] })).rejects.toMatchObject({
      stdout: expect.stringMatching(/wrong\.ts.*TS2769|TS2345/) as string,
    });
  });
});

describe('the example of', () => {
  test('the client classifies a picture and reads a layer of it', async () => {
    const [classified = '', layer] = (await runModule('client.ts')).split('\n');
    expect(classified).toMatch(/^automobile 0\.9\d+$/);
    expect(layer).toMatch(/^\[ 8, 8, 256 \] \d/);
  });

  test('the engine runs the shipped model, and a layer inside it', async () => {
    expect(await runModule('engine.ts')).toBe('10 [ 1, 8, 8, 256 ]');
  });

  test('the graph-model writer makes a model that stock TensorFlow.js runs', async () => {
    await runModule('graph-model.ts');
    const script = `
      import { readFile } from 'node:fs/promises';
      import '@tensorflow/tfjs-backend-cpu';
      import { loadGraphModel } from '@tensorflow/tfjs-converter';
      import { tensor } from '@tensorflow/tfjs-core';
      const { modelTopology, weightsManifest: [{ paths: [path], weights: weightSpecs }], ...rest } = JSON.parse(await readFile('tiny/model.json', 'utf8'));
      const { buffer, byteOffset, byteLength } = await readFile('tiny/' + path);
      const weightData = buffer.slice(byteOffset, byteOffset + byteLength);
      const model = await loadGraphModel({ load: async () => ({ ...rest, modelTopology, weightSpecs, weightData }) });
      console.log([...model.predict({ x: tensor([[1, 2], [-1, 1]]) }).dataSync()].join());`;
    await writeFile(join(folder, 'run-tiny.js'), script);
    expect(await runModule('run-tiny.js')).toBe('9,8,0,3,7,0');
  });
});
