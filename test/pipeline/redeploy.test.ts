/**
 * A release day as README.md tells it, every step a command of its own: retrain, convert, publish, promote, verify, roll
 * back. The server on Node and the Worker of `npm run dev` are started once, before it, and answer all the time.
 *
 * With RESNET_REPORT_TIMES=1 it tells the time from each change to the first answer of the new champion.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { classificationSchema, modelHistorySchema } from '../../shared/api.ts';
import { parseManifest } from '../../shared/manifest.ts';
import { readCifar10 } from '../../train/dataset.ts';
import { exportImages } from '../../train/export-images.ts';
import { writeCifar10Folder } from '../support/cifar10-folder.ts';
import { findFreePort } from '../support/free-port.ts';
import { runNpm, startNpmServer, type NpmServer } from '../support/npm-command.ts';
import { makeSharedFolder } from '../support/temporary-folder.ts';

const ROOT = join(import.meta.dirname, '../..');
const SAMPLE = join(ROOT, 'web/public/samples/cat-ginger.png');
/** Of the default, only to save time. */
const POINTER_TTL_MS = 1000;

interface Retrained {
  modelId: string;
  folder: string;
}

let node: NpmServer;
let worker: NpmServer;
let folderStore: string;
let bucketStore: string;
let retrained: Retrained[];
let picture: Uint8Array<ArrayBuffer>;

beforeAll(async () => {
  const root = await makeSharedFolder();
  picture = new Uint8Array(await readFile(SAMPLE));
  folderStore = join(root, 'store');
  await mkdir(folderStore);
  node = await startNpmServer('start', ['--store', folderStore], {
    pattern: /(http:\/\/\S+) answers with/,
    environment: { PORT: '0', POINTER_TTL_MS: String(POINTER_TTL_MS) },
  });
  // A project folder of its own, so that a developer's own bucket is left alone; where it lies is left to the commands.
  const config = await copyWranglerConfig(join(root, 'project'));
  bucketStore = `r2-local:MODELS?config=${config}`;
  const ports = ['--port', String(await findFreePort()), '--inspector-port', String(await findFreePort())];
  const vars = ['--var', `POINTER_TTL_MS:${POINTER_TTL_MS}`];
  worker = await startNpmServer('dev', ['--config', config, '--ip', '127.0.0.1', ...ports, ...vars], {
    pattern: /Ready on (http:\/\/[\w.:]+)/,
    environment: { CI: 'true' },
  });
  retrained = await retrainTwice(root);
}, 600_000);
afterAll(() => Promise.all([node?.stop(), worker?.stop()]), 60_000);

/** The product's own configuration, in another place. */
async function copyWranglerConfig(folder: string): Promise<string> {
  await mkdir(folder);
  const text = await readFile(join(ROOT, 'wrangler.toml'), 'utf8');
  const moved = text
    .replace('"serve/worker.ts"', JSON.stringify(join(ROOT, 'serve/worker.ts')))
    .replace('"./web/dist"', JSON.stringify(join(ROOT, 'web/dist')));
  const path = join(folder, 'wrangler.toml');
  await writeFile(path, moved);
  return path;
}

/** Two steps of training and a model, then two more and another model. */
async function retrainTwice(root: string): Promise<Retrained[]> {
  const pictures = join(root, 'pictures');
  await writeCifar10Folder(join(root, 'cifar10'), { recordsPerFile: 10 });
  const cifar10 = await readCifar10({ folder: join(root, 'cifar10'), recordsPerFile: 10 });
  await exportImages(cifar10, { classNames: [...cifar10.classNames], folder: pictures });
  const run = join(root, 'mine');
  const data = ['--data-dir', pictures, '--engine', 'tfjs'];
  const small = ['--image-size', '32', '--batch-size', '10', '--validation-images', '10', '--epochs', '2'];
  const models: Retrained[] = [];
  for (const [steps, flags] of [
    ['2', ['--preset', 'tiny', ...small]],
    ['4', ['--resume']],
  ] as const) {
    await runNpm('train', [...flags, ...data, '--max-steps', steps, '--out', run]);
    const folder = join(root, `model-${steps}`);
    const parity = ['--parity-images', '10', '--dtype', 'float16'];
    await runNpm('model', ['convert', '--checkpoint', run, '--out', folder, ...parity, ...data]);
    const manifest = parseManifest(JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')));
    models.push({ modelId: manifest.modelId, folder });
  }
  return models;
}

function describeReleaseDay(name: string, open: () => { url: string; store: string }): void {
  describe(`a release day on ${name}`, { timeout: 300_000 }, () => {
    let shippedId: string;

    async function release(...args: string[]): Promise<string> {
      const { printed } = await runNpm('release', [...args, '--store', open().store]);
      return printed;
    }

    const modelAt = (index: number): Retrained => retrained[index] ?? expect.fail('no such model');

    async function ask() {
      const response = await fetch(`${open().url}/classify`, { method: 'POST', body: picture });
      expect(response.status).toBe(200);
      const { model, predictions } = classificationSchema.parse(await response.json());
      expect(response.headers.get('x-model-id')).toBe(model.id);
      expect(response.headers.get('x-model-seq')).toBe(String(model.seq));
      return { model, predictions };
    }

    /** The first answer after change `seq`. */
    async function askUntil(seq: number) {
      const startedMs = performance.now();
      await expect.poll(async () => (await ask()).model.seq, { timeout: 60_000, interval: 50 }).toBe(seq);
      const elapsedMs = Math.round(performance.now() - startedMs);
      if (process.env['RESNET_REPORT_TIMES']) console.log(`${name}: change ${seq} answers after ${elapsedMs} ms`);
      return (await ask()).model.id;
    }

    const verify = () => release('verify', open().url);

    test('begins with the shipped model', async () => {
      const { model } = await ask();
      expect(model).toMatchObject({ channel: 'resnet18', seq: 0 });
      shippedId = model.id;
      expect(retrained.map(({ modelId }) => modelId)).not.toContain(shippedId);
    });

    test('answers with the retrained model once it is published and promoted', async () => {
      const { modelId, folder } = modelAt(0);
      expect(await release('publish', folder)).toContain(`model ${modelId}`);
      expect((await ask()).model).toMatchObject({ id: shippedId, seq: 0 });
      expect(await release('promote', modelId.slice(0, 8))).toContain('it replaces the shipped model');
      expect(await askUntil(1)).toBe(modelId);
      expect(await verify()).toMatch(
        /answers with resnet8\.mine \(\w{8}\)\n10 pictures, 100 logits: they differ by at most/,
      );
    });

    test('answers with the next one, and after a rollback with the one before', async () => {
      const before = await ask();
      const { modelId, folder } = modelAt(1);
      await release('publish', folder);
      await release('promote', modelId.slice(0, 8));
      expect(await askUntil(2)).toBe(modelId);
      expect((await ask()).predictions).not.toEqual(before.predictions);

      expect(await release('rollback')).toContain(`it replaces model ${modelId.slice(0, 8)}`);
      expect(await askUntil(3)).toBe(modelAt(0).modelId);
      expect((await ask()).predictions).toEqual(before.predictions);
    });

    test('is back at the shipped model at the end of the history, and goes no further', async () => {
      expect(await release('rollback')).toContain('the shipped model is the champion of resnet18 again: change 4');
      expect(await askUntil(4)).toBe(shippedId);
      expect(await verify()).toContain(`(${shippedId.slice(0, 8)})`);
      await expect(release('rollback')).rejects.toThrow('store/nothing-to-roll-back: ');
    });

    test('tells the same history by command and by route', async () => {
      const [first, second] = [modelAt(0).modelId, modelAt(1).modelId];
      const changes = JSON.parse(await release('history', '--json')) as Record<string, unknown>[];
      expect(changes).toMatchObject([
        { seq: 4, action: 'rollback', champion: null, replaced: first },
        { seq: 3, action: 'rollback', champion: first, replaced: second },
        { seq: 2, action: 'promote', champion: second, replaced: first },
        { seq: 1, action: 'promote', champion: first, replaced: null },
      ]);
      const { events } = modelHistorySchema.parse(await (await fetch(`${open().url}/models/history`)).json());
      expect(events).toEqual([
        ...changes.map(({ seq, action, champion, at }) => ({ seq, action, champion: champion ?? shippedId, at })),
        { seq: 0, action: 'start', champion: shippedId, at: null },
      ]);
    });
  });
}

describeReleaseDay('Node', () => ({ url: node.url, store: folderStore }));
describeReleaseDay('workerd', () => ({ url: worker.url, store: bucketStore }));

test('neither server has anything to complain about', () => {
  expect(node.output.trim().split('\n')).toEqual([expect.stringMatching(/ answers with resnet18\.\S+ /)]);
  expect(worker.output).not.toMatch(/error|hang|exception/i);
});
