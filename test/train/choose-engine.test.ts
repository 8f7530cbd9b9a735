import { afterEach, describe, expect, it, vi } from 'vitest';
import { ProductError } from '../../shared/errors.ts';
import { startEngine } from '../../train/engine/choose-engine.ts';
import { findAdapter } from '../../train/engine/webgpu/device.ts';
import { describeWithTensorflow, describeWithWebgpu } from '../support/requirements.ts';
import { makeTemporaryFolder } from '../support/temporary-folder.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('startEngine', () => {
  it.each(['auto', 'tensorflow'] as const)(
    'refuses %s where TensorFlow is not set up, with the command, and takes no slower engine instead',
    async (choice) => {
      const folder = await makeTemporaryFolder();
      vi.stubEnv('RESNET_TENSORFLOW_DIR', folder);
      vi.stubEnv('RESNET_WEBGPU_DIR', folder);
      await expect(startEngine(choice, { precision: 'float32' })).rejects.toMatchObject({
        code: 'engine/unavailable',
        message: expect.stringMatching(/not set up in .*; run `npm run setup:tensorflow`.* or .*--engine tfjs/),
      });
      await expect(startEngine(choice, { precision: 'float32' })).rejects.toThrow(folder);
    },
  );

  it('starts tfjs on wasm when it is asked for, also without TensorFlow', async () => {
    vi.stubEnv('RESNET_TENSORFLOW_DIR', await makeTemporaryFolder());
    const engine = await startEngine('tfjs', { precision: 'float32' });
    expect(engine.name).toBe('tfjs');
    expect(engine.device).toContain(' wasm, float32');
  });

  it.each(['tfjs', 'webgpu'] as const)('refuses a precision that %s does not have', async (choice) => {
    await expect(startEngine(choice, { precision: 'bfloat16' })).rejects.toMatchObject({
      code: 'engine/unsupported',
      message: expect.stringContaining('this run in bfloat16; start a run with --precision float32'),
    });
  });

  it('refuses webgpu where Dawn is not installed, with the command', async () => {
    const folder = await makeTemporaryFolder();
    vi.stubEnv('RESNET_WEBGPU_DIR', folder);
    await expect(startEngine('webgpu', { precision: 'float32' })).rejects.toMatchObject({
      code: 'engine/unavailable',
      message: `WebGPU is not set up in ${folder}; run \`npm run setup:webgpu\``,
    });
  });
});

describeWithWebgpu('startEngine with WebGPU', () => {
  it('starts it when it is asked for, and names the adapter', async () => {
    const engine = await startEngine('webgpu', { precision: 'float32' });
    expect(engine.name).toBe('webgpu');
    expect(engine.device).toMatch(/^WebGPU \(Dawn, webgpu [\d.]+\) on /);
  });

  it('takes a GPU for auto where TensorFlow is not set up, but no software adapter', async () => {
    vi.stubEnv('RESNET_TENSORFLOW_DIR', await makeTemporaryFolder());
    const outcome = await startEngine('auto', { precision: 'float32' }).then(
      ({ name }) => name,
      (error: unknown) => (error instanceof ProductError ? `${error.code}: ${error.message}` : error),
    );
    const { adapter, isSoftware } = await findAdapter();
    const refusal = expect.stringMatching(
      /^engine\/unavailable: .*setup:tensorflow`; WebGPU finds only the software adapter .*--engine tfjs/,
    );
    expect(outcome).toEqual(isSoftware ? refusal : 'webgpu');
    expect(outcome).toContain(isSoftware ? adapter.info.description : 'webgpu');
  });
});

describeWithTensorflow('startEngine with TensorFlow', () => {
  it.each(['auto', 'tensorflow'] as const)(
    'starts TensorFlow for %s in the precision that is asked for',
    async (choice) => {
      for (const precision of ['float32', 'bfloat16'] as const) {
        const engine = await startEngine(choice, { precision });
        expect(engine.name).toBe('tensorflow');
        expect(engine.device.endsWith(precision)).toBe(true);
      }
    },
  );
});
