import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { runModelCommand } from '../../train/convert/commands.ts';
import { writeTinyCheckpoint } from '../support/tiny-checkpoint.ts';
import { writeTinyModel } from '../support/tiny-model.ts';
import { makeSharedFolder } from '../support/temporary-folder.ts';

let root: string;
beforeAll(async () => {
  root = await makeSharedFolder();
});

async function run(...args: string[]) {
  let printed = '';
  let reported = '';
  const status = await runModelCommand(args, {
    print: (text) => (printed += `${text}\n`),
    report: (line) => (reported += `${line}\n`),
    stream: { write: () => true },
    environment: {},
  });
  return { status, printed, reported };
}

describe('npm run model', () => {
  it('is a program with an exit status', async () => {
    const program = promisify(execFile)(process.execPath, [
      'train/model-cli.ts',
      'check',
      '--model',
      path.join(root, 'none'),
    ]);
    await expect(program).rejects.toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^model\/missing: .*none\/manifest\.json is not there/),
    });
  });

  it('explains itself', async () => {
    expect(await run('--help')).toMatchObject({
      status: 0,
      printed: expect.stringContaining('evaluate   accuracy on the test set'),
    });
    for (const command of ['convert', 'evaluate', 'show', 'card', 'check']) {
      const { status, printed } = await run(command, '--help');
      expect(status).toBe(0);
      expect(printed.startsWith(`npm run model -- ${command} `)).toBe(true);
    }
  });

  it.each([
    [[], 'a command is missing'],
    [['toString'], 'there is no command "toString"'],
    [['show'], 'cli/usage: --model is missing'],
    [['show', '--model'], "cli/usage: Option '--model <value>' argument missing"],
    [['show', '--model', 'a', 'b'], "cli/usage: Unexpected argument 'b'"],
    [['card'], 'cli/usage: --model is missing'],
    [['card', '--model', 'a', '--run', ''], 'cli/usage: --run is missing'],
    [['check', '--modell', 'a'], "cli/usage: Unknown option '--modell'"],
    [['convert', '--out', 'x'], 'cli/usage: --checkpoint is missing'],
    [
      ['convert', '--out', 'x', '--checkpoint', 'y', '--dtype', 'int4'],
      'cli/usage: --dtype int4 is not known; possible: float32, float16, uint8',
    ],
    [['convert', '--out', 'x', '--checkpoint', 'y', '--weights', 'best'], 'cli/usage: --weights best is not known'],
    [
      ['convert', '--out', 'x', '--checkpoint', 'y', '--parity-images', '0'],
      'cli/usage: --parity-images 0 is not a number of images',
    ],
    [
      ['convert', '--out', 'x', '--checkpoint', 'y', '--no-parity', '--data-dir', 'z'],
      'cli/usage: --no-parity and --data-dir contradict',
    ],
    [['convert', '--out', 'x', '--checkpoint', 'y', '--to', 'keras'], 'cli/usage: --to keras is not known'],
    [
      ['convert', '--out', 'x.onnx', '--checkpoint', 'y', '--to', 'onnx', '--dtype', 'float16'],
      'cli/usage: --dtype does nothing with --to onnx',
    ],
    [['convert', '--out', 'x', '--checkpoint', 'y', '--layers'], 'cli/usage: --layers does nothing with --to tfjs'],
    [['convert', '--out', 'x', '--checkpoint', 'y', '--to', 'onnx'], 'cli/usage: --out x does not fit --to onnx'],
    [['convert', '--out', 'x.onnx', '--checkpoint', 'y'], 'cli/usage: --out x.onnx does not fit --to tfjs'],
  ])('refuses %j with the usage', async (args, message) => {
    const { status, printed, reported } = await run(...args);
    expect(status).toBe(2);
    expect(printed).toBe('');
    expect(reported.startsWith(message)).toBe(true);
    expect(reported).toContain('npm run model -- ');
  });

  it('converts, shows and checks', async () => {
    const out = path.join(root, 'model');
    await writeTinyCheckpoint(path.join(root, 'run'));
    const converted = await run(
      'convert',
      '--checkpoint',
      path.join(root, 'run'),
      '--out',
      out,
      '--dtype',
      'float16',
      '--no-parity',
    );
    expect(converted.reported).toContain('parity is not checked (--no-parity)');
    expect(converted).toMatchObject({
      status: 0,
      printed: expect.stringContaining('custom.tiny-run, float16, 27 layers'),
    });

    const { printed: shown } = await run('show', '--model', out);
    expect(shown).toMatch(/^name +custom\.tiny-run$/m);
    expect(shown).toMatch(/^layer1\.0\.conv1 +conv2d +8 x 8 x 4 +144$/m);
    expect(shown).toMatch(/^linear +linear +3 +21$/m);
    expect(shown).toMatch(/^measured +nothing yet/m);
    expect(shown).toMatch(/^total: 1,041 trained parameters, 60 moving statistics$/m);

    const checked = await run('check', '--model', out);
    expect(checked).toMatchObject({ status: 0, printed: expect.stringContaining('27 layers, no evaluation') });

    const again = await run('convert', '--checkpoint', path.join(root, 'run'), '--out', out, '--no-parity');
    expect(again).toMatchObject({ status: 1, reported: expect.stringContaining('is there already and not empty') });
  });

  it('converts to ONNX', async () => {
    const out = path.join(root, 'model.onnx');
    await writeTinyCheckpoint(path.join(root, 'onnx-run'));
    const checkpoint = path.join(root, 'onnx-run');
    const first = await run('convert', '--to', 'onnx', '--checkpoint', checkpoint, '--out', out, '--no-parity');
    expect(first).toMatchObject({
      status: 0,
      printed: expect.stringMatching(/model\.onnx: custom\.tiny-run, ONNX, float32, 0\.01 MB\nsha256 [0-9a-f]{64}\n$/),
    });
    const again = await run('convert', '--to', 'onnx', '--checkpoint', checkpoint, '--out', out, '--no-parity');
    expect(again).toMatchObject({ status: 1, reported: expect.stringContaining('model.onnx is there already') });
  });

  it('says which node has the values of a folded layer', async () => {
    const folder = path.join(root, 'folded');
    await writeTinyModel(folder, { isFolded: true });
    const { printed } = await run('show', '--model', folder);
    expect(printed).toMatch(/^layer1 +identity +8 x 8 x 4 +layer1\.0$/m);
    expect(printed).not.toMatch(/^conv1 /m);
  });

  it('names the damaged file', async () => {
    const folder = path.join(root, 'damaged');
    await writeTinyModel(folder);
    const shard = path.join(folder, 'group1-shard1of1.bin');
    const bytes = await readFile(shard);
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    await writeFile(shard, bytes);
    expect(await run('check', '--model', folder)).toMatchObject({
      status: 1,
      reported: expect.stringMatching(/^model\/damaged: .*group1-shard1of1\.bin has the sha256/),
    });
  });

  it('names what is missing of the data', async () => {
    const folder = path.join(root, 'unmeasured');
    await writeTinyModel(folder);
    const empty = path.join(root, 'no-data');
    await mkdir(empty);
    expect(await run('evaluate', '--model', folder, '--data-dir', empty)).toMatchObject({
      status: 1,
      reported: expect.stringMatching(/^dataset\/missing: .* lacks data_batch_1\.bin/),
    });
  });
});

describe('plan', () => {
  it('says what each stage of a model takes, and that it fits', async () => {
    const folder = path.join(root, 'planned');
    await writeTinyModel(folder, { name: 'tiny.planned' });
    const { status, printed } = await run('plan', '--model', folder);
    expect(status).toBe(0);
    expect(printed).toMatch(/^tiny\.planned\n {2}conv1 +0\.0 MB {2}1 kernel\n {2}layer1 /);
    expect(printed).toMatch(/\nbudget, worker +64\.0 MB {2}fits, \d+\.\d MB left\n/);
  });

  it('knows networks before they are trained, and fails where one does not fit', async () => {
    const large = await run('plan', '--network', 'resnet50');
    expect(large.status).toBe(1);
    expect(large.printed).toMatch(
      /\nbudget, worker +64\.0 MB {2}does not fit, \d+\.\d MB too much\nbudget, node .* fits/,
    );
    expect(large.reported).toMatch(/^model\/too-large: resnet50 takes \d+\.\d MB/);
    expect((await run('plan', '--network', 'resnet50', '--for', 'node')).status).toBe(0);
    expect((await run('plan', '--network', 'resnet18')).status).toBe(0);
    expect((await run('plan', '--network', 'resnet18', '--mode', 'exact')).status).toBe(1);
  });

  it('wants one of the two', async () => {
    expect((await run('plan')).reported).toMatch(/^cli\/usage: --model is missing/);
    expect((await run('plan', '--model', 'x', '--network', 'resnet18')).reported).toMatch(/contradict each other/);
  });
});
