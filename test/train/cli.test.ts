/** `npm run train` as a process of its own: flags, exit codes, Ctrl-C. */
import { spawn } from 'node:child_process';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { readCheckpoint } from '../../train/checkpoint.ts';
import { PRESET_NAMES } from '../../train/presets.ts';
import { describeWithCifar10 } from '../support/cifar10-folder.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

const CLI = fileURLToPath(new URL('../../train/cli.ts', import.meta.url));

interface Finished {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** Run the command line to its end; `onError` sees standard error grow and may send a signal. */
function train(
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; onError?: (text: string, interrupt: () => void) => void } = {},
): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [CLI, ...args], { env: { ...process.env, ...options.env } });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
      options.onError?.(stderr, () => child.kill('SIGINT'));
    });
    child.on('error', reject);
    child.on('close', (status) => resolve({ status, stdout, stderr }));
  });
}

describe('the command line of training', () => {
  it('explains itself, with all presets', async () => {
    const { status, stdout, stderr } = await train(['--help']);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^usage: npm run train -- --preset NAME --out runs\/NAME/);
    expect(stdout).toContain(PRESET_NAMES.join(', '));
    expect(stderr).toBe('');
  });

  it.each<[string, string[], string]>([
    ['no run folder', ['--preset', 'tiny'], 'name the run folder with --out'],
    ['no preset', ['--out', 'x'], 'name a preset with --preset, or add --resume'],
    ['an unknown flag', ['--preset', 'tiny', '--out', 'x', '--lr', '1'], "'--lr'"],
    ['a word too many', ['--preset', 'tiny', '--out', 'x', 'fast'], "'fast'"],
    [
      'an unknown engine',
      ['--preset', 'tiny', '--out', 'x', '--engine', 'cuda'],
      'choose one of auto, tensorflow, webgpu, tfjs',
    ],
    ['a report of no run', ['report'], 'name the run folder with --out'],
    ['no steps', ['--preset', 'tiny', '--out', 'x', '--max-steps', '0'], 'a whole number above 0 is expected'],
    ['no epochs', ['--preset', 'tiny', '--out', 'x', '--epochs', '0'], '--epochs is "0"'],
    ['a seed that is no number', ['--preset', 'tiny', '--out', 'x', '--seed', 'one'], '--seed is "one"'],
    ['an empty run folder', ['--preset', 'tiny', '--out', ''], '--out is empty'],
    ['half a step', ['--preset', 'tiny', '--out', 'x', '--max-steps', '1.5'], '--max-steps is "1.5"'],
    [
      'a resumed run with a change',
      ['--resume', '--out', 'x', '--seed', '2', '--epochs', '3'],
      'leave out epochs, seed',
    ],
    ['a resumed run with a preset', ['--resume', '--out', 'x', '--preset', 'tiny'], 'leave out preset'],
  ])('answers %s with its usage and exit status 2', async (_, args, message) => {
    const { status, stdout, stderr } = await train(args);
    expect(stderr).toMatch(/^cli\/usage: /);
    expect(stderr).toContain(message);
    expect(stderr).toContain('usage: npm run train -- --preset NAME');
    expect(stdout).toBe('');
    expect(status).toBe(2);
  });

  it.each<[string, string[], string]>([
    [
      'an unknown preset',
      ['--preset', 'huge'],
      'config/unknown-preset: there is no preset "huge"; choose one of first',
    ],
    ['an unknown network', ['--preset', 'tiny', '--network', 'resnet19'], 'a network is one of resnet18, resnet34'],
    ['half precision on tfjs', ['--preset', 'first-light', '--engine', 'tfjs'], 'with --precision float32'],
    [
      'a data folder that is not there',
      ['--preset', 'tiny', '--engine', 'tfjs', '--data-dir', '/nowhere/cifar'],
      'dataset/missing: cannot read the folder /nowhere/cifar',
    ],
  ])('answers %s with one sentence and exit status 1', async (_, args, message) => {
    const folder = await makeTemporaryFolder();
    const { status, stdout, stderr } = await train([...args, '--out', join(folder, 'run')]);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain('usage:');
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(stdout).toBe('');
    expect(status).toBe(1);
  });

  it('refuses a run folder that is there before it loads anything, and one that cannot be made', async () => {
    const folder = await makeTemporaryFolder();
    const taken = await train(['--preset', 'tiny', '--engine', 'tfjs', '--out', folder]);
    expect(taken).toMatchObject({ status: 1, stderr: expect.stringMatching(/^run\/exists: .* add --resume/) });
  });

  it('refuses to resume what is not a run', async () => {
    const folder = await makeTemporaryFolder();
    const nothing = await train(['--resume', '--out', folder]);
    expect(nothing).toMatchObject({ status: 1, stderr: expect.stringContaining('has no readable config.json') });
    await writeFile(join(folder, 'config.json'), '{ "epochs": 1, "colour": "red" }');
    const damaged = await train(['--resume', '--out', folder]);
    expect(damaged).toMatchObject({ status: 1, stderr: expect.stringContaining('"colour"') });
  });

  it('makes the report of a run again', async () => {
    const folder = await makeTemporaryFolder();
    const recorded = fileURLToPath(new URL('../../train/results/first-light-2', import.meta.url));
    for (const file of ['config.json', 'log.jsonl']) await copyFile(join(recorded, file), join(folder, file));
    const report = join(folder, 'report.html');
    expect(await train(['report', '--out', folder])).toEqual({ status: 0, stdout: `${report}\n`, stderr: '' });
    expect(await readFile(report, 'utf8')).toContain('<h1>Training run first-light-2</h1>');
    const nothing = await train(['report', '--out', join(folder, 'none')]);
    expect(nothing).toMatchObject({ status: 1, stderr: expect.stringMatching(/^checkpoint\/missing: .*none/) });
  });

  it('names the command that sets TensorFlow up where it is missing, and takes no slower engine', async () => {
    const folder = await makeTemporaryFolder();
    const env = { RESNET_TENSORFLOW_DIR: folder };
    const { status, stderr } = await train(['--preset', 'first-light', '--out', join(folder, 'run')], { env });
    expect(stderr).toMatch(/^engine\/unavailable: .*run `npm run setup:tensorflow`/m);
    expect(status).toBe(1);
  });
});

describeWithCifar10('the command line of training on CIFAR-10', (dataDir) => {
  const common = ['--engine', 'tfjs', '--data-dir', dataDir];
  const start = ['--preset', 'tiny', '--network', 'resnet8', '--batch-size', '8', ...common];

  async function readTensors(runFolder: string, step: number) {
    return (await readCheckpoint(join(runFolder, `checkpoint-${step}`))).groups;
  }

  it(
    'writes a checkpoint on Ctrl-C, ends cleanly, and --resume goes on with the same bits',
    { timeout: 90_000 },
    async () => {
      const folder = await makeTemporaryFolder();
      const stopped = join(folder, 'stopped');
      let isSent = false;
      const first = await train([...start, '--out', stopped, '--max-steps', '40'], {
        onError: (text, interrupt) => {
          // The progress line: the first step is done.
          if (isSent || !text.includes('epoch 1/1')) return;
          isSent = true;
          interrupt();
        },
      });
      expect(first).toMatchObject({ status: 0, stdout: '' });
      expect(first.stderr).toContain('interrupted: finishing the step and writing a checkpoint');
      expect(first.stderr).toContain(`stopped; continue with: npm run train -- --resume --out ${stopped}`);
      const log = (await readFile(join(stopped, 'log.jsonl'), 'utf8')).trim().split('\n');
      const { event, step } = JSON.parse(log.at(-1) ?? '') as { event: string; step: number };
      expect(event).toBe('interrupted');
      expect(step).toBeGreaterThan(0);
      expect(step).toBeLessThan(40);

      const end = step + 2;
      const resumed = await train(['--resume', ...common, '--out', stopped, '--max-steps', String(end)]);
      expect(resumed.status).toBe(0);
      const whole = join(folder, 'whole');
      const uninterrupted = await train([...start, '--out', whole, '--max-steps', String(end)]);
      expect(uninterrupted.status).toBe(0);
      expect(await readTensors(stopped, end)).toEqual(await readTensors(whole, end));

      const again = await train([...start, '--out', whole]);
      expect(again).toMatchObject({ status: 1, stderr: expect.stringContaining('run/exists') });
    },
  );
});
