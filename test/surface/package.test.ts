/**
 * What `npm pack` ships, used as one who installed it does: plain JavaScript, declarations, and every example that is
 * published, as it is shown, against a real server with the shipped model.
 */
import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startServer, type RunningServer } from '../../serve/node/server.ts';
import { Client } from '../../shared/client/entry.ts';
import { decodeInputToken } from '../../shared/image/token.ts';
import { describeWithPython } from '../support/requirements.ts';
import { installPackage, readExample, runIn } from '../support/packed-package.ts';
import { makeSharedFolder } from '../support/temporary-folder.ts';

const TSC = resolve('node_modules/.bin/tsc');

const PAGES = {
  client: 'shared/client/README.md',
  engine: 'shared/engine/README.md',
  'graph-model': 'train/convert/README.md',
} as const;

/** Shown in every language. */
const MAIN_ROUTES = ['classify', 'readActivation', 'computeActivation', 'readExplanation', 'evaluate', 'oipInfer'];

/** Compilers and processes take their time on a machine that has others to serve. */
const SLOW = { timeout: 180_000 };

let folder: string;
/** By section, which is the name of an operation, and language. */
let shown: ReadonlyMap<string, ReadonlyMap<string, string>>;
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
  await writeSampleFiles();
  shown = readShownExamples(await (await fetch(`${server.url}/docs`)).text());
  for (const section of MAIN_ROUTES) {
    await writeFile(join(folder, `${section}.ts`), shown.get(section)?.get('TypeScript') ?? '');
  }
}, SLOW.timeout);
afterAll(() => server.close());

/** The files that the examples of the docs page name: the ten samples, ten times, as records of CIFAR-10's layout. */
async function writeSampleFiles(): Promise<void> {
  const client = new Client(server.url);
  const { classNames } = await client.readModel('champion');
  const { samples } = await client.listSamples();
  const records: Uint8Array[] = [];
  for (const { url, label } of samples) {
    const { input } = await client.classify(await client.readSamplePicture({ url }));
    const pixels = await decodeInputToken(input.token, 32 * 32 * 3);
    const planes = Uint8Array.from(pixels, (_, at) => pixels[(at % 1024) * 3 + Math.floor(at / 1024)] ?? 0);
    records.push(Uint8Array.of(classNames.indexOf(label), ...planes));
  }
  await writeFile(join(folder, 'test_batch.bin'), Buffer.concat(Array.from({ length: 10 }, () => records).flat()));
  for (const name of ['cat.png', 'cat-1.jpg', 'dog-1.jpg']) {
    await cp('web/public/samples/cat-ginger.png', join(folder, name));
  }
}

/** As somebody copies them out of the page. */
function readShownExamples(html: string): Map<string, Map<string, string>> {
  const sections = [...html.matchAll(/<section id="(\w+)">(.*?)<\/section>/gs)].map(([, id = '', section = '']) => {
    const codes = [...section.matchAll(/<pre data-language="(\w+)"[^>]*><code>(.*?)<\/code><\/pre>/gs)];
    return [id, new Map(codes.map(([, language = '', code = '']) => [language, unescape(code)]))] as const;
  });
  return new Map(sections.filter(([, codes]) => codes.size > 0));
}

function unescape(text: string): string {
  return text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&amp;', '&');
}

/** All numbers of a text, without those in the names of types. */
function readNumbers(text: string): number[] {
  const plain = text.replaceAll(/\w+Array\(\d+\)/g, '');
  return [...plain.matchAll(/-?\d+(\.\d+)?(e[-+]?\d+)?/g)].map(([number]) => Number(number));
}

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

  test('has declarations that a strict compiler accepts with every example', SLOW, async () => {
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
    await check('client.json', { files: ['client.ts', 'graph-model.ts', ...MAIN_ROUTES.map((name) => `${name}.ts`)] });
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

describe('the example of', SLOW, () => {
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

/** What the answer to the first command of a section has in it. */
const ANSWERS: Readonly<Record<string, RegExp>> = {
  classify: /"label":"automobile".*\[\{"label":"automobile".*"file":"cat\.png"/s,
  classifyJson: /"label":"automobile"/,
  readActivation: /"layer":\{"name":"layer3"/,
  computeActivation: /"layer":\{"name":"layer3"/,
  readExplanation: /"method":"cam".*"method":"occlusion"/s,
  evaluate: /"type":"progress","n":100,.*"type":"result".*"type":"result","model":.*"n":2,/s,
};

describe('an example of the docs page', () => {
  test('is there in every language for each main route', () => {
    const complete = [...shown].filter(([, { size }]) => size === 3).map(([section]) => section);
    expect(complete.toSorted()).toEqual(MAIN_ROUTES.toSorted());
    expect(shown.size).toBeGreaterThan(20);
    for (const [section, codes] of shown) expect([...codes.keys()][0], section).toBe('Shell');
  });

  test('in the shell runs, and the server answers it without a problem', SLOW, async () => {
    for (const [section, codes] of shown) {
      const { printed } = await runIn(folder, 'bash', ['-euo', 'pipefail', '-c', codes.get('Shell') ?? '']);
      expect(printed, section).toMatch(ANSWERS[section] ?? /^/);
      expect(printed, section).not.toMatch(/"code":|^\{"error":/);
    }
    expect((await readFile(join(folder, 'layer3.png'))).subarray(1, 4).toString()).toBe('PNG');
    expect((await readFile(join(folder, 'layer3.npy'))).subarray(1, 6).toString()).toBe('NUMPY');
    expect((await readFile(join(folder, 'answer.bin'))).toString('latin1')).toContain('"model_name":"resnet18"');
  });
});

describeWithPython('an example of the docs page in two languages', () => {
  test.for(MAIN_ROUTES)('gives the same numbers in Python as in TypeScript: %s', SLOW, async (section) => {
    await writeFile(join(folder, `${section}.py`), shown.get(section)?.get('Python') ?? '');
    const { printed } = await runIn(folder, 'python3', [`${section}.py`]);
    const numbers = readNumbers(await runModule(`${section}.ts`));
    expect(numbers.length).toBeGreaterThan(2);
    const expected = readNumbers(printed);
    expect(numbers.length, printed).toBe(expected.length);
    numbers.forEach((number, index) => expect(number).toBeCloseTo(expected[index] ?? Number.NaN, 4));
  });
});
