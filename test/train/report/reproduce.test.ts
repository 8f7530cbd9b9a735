import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { presetOf, PRESET_NAMES } from '../../../train/presets.ts';
import { describeTrainCommand } from '../../../train/report/reproduce.ts';

const RESULTS = join(import.meta.dirname, '../../../train/results');

describe('describeTrainCommand', () => {
  it.each(PRESET_NAMES.filter((name) => name !== 'cifar2'))('names the preset %s', (name) => {
    expect(describeTrainCommand(presetOf(name), 'x')).toBe(`npm run train -- --preset ${name} --out runs/x`);
  });

  it('names the data of pictures in folders', () => {
    const expected = 'npm run train -- --preset cifar2 --data-dir DIR --out runs/x';
    expect(describeTrainCommand(presetOf('cifar2'), 'x')).toBe(expected);
    const sized = { ...presetOf('tiny'), imageFolder: { size: 48, normalization: 'measured' as const } };
    expect(describeTrainCommand(sized, 'x')).toBe(
      'npm run train -- --preset tiny --image-size 48 --data-dir DIR --out runs/x',
    );
  });

  it('adds a flag for each difference that has one', () => {
    const config = {
      ...presetOf('tiny'),
      seed: 3,
      epochs: 2,
      batchSize: 64,
      validationImages: 100,
      network: 'resnet20',
    };
    expect(describeTrainCommand(config, 'x')).toBe(
      'npm run train -- --preset tiny --network resnet20 --seed 3 --epochs 2 --batch-size 64 --validation-images 100 --out runs/x',
    );
  });

  it('names the run that another one starts from', async () => {
    const config: unknown = JSON.parse(await readFile(join(RESULTS, 'first-light-2/config.json'), 'utf8'));
    expect(describeTrainCommand(config as Record<string, unknown>, 'first-light-2')).toBe(
      'npm run train -- --preset second-cycle --from runs/first-light-1 --out runs/first-light-2',
    );
  });

  it('names the model that a run starts from', () => {
    const startsFrom = { run: 'mine', step: 7, parametersSha256: 'ab', modelId: 'cd' };
    expect(describeTrainCommand({ ...presetOf('cooldown'), startsFrom }, 'x')).toBe(
      'npm run train -- --preset cooldown --from serve/models/cd --out runs/x',
    );
  });

  it('has no command for what no flag can give', () => {
    expect(describeTrainCommand({ ...presetOf('tiny'), lastGamma: 0.5 }, 'x')).toBeNull();
    expect(describeTrainCommand({ ...presetOf('tiny'), network: { depth: 18 } }, 'x')).toBeNull();
  });
});
