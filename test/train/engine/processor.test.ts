import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { adviseOnBfloat16, readCpuInfo, readGpuName } from '../../../train/engine/tensorflow/processor.ts';
import { loadTensorFlowAddon } from '../../../train/engine/tensorflow/addon.ts';
import { TensorFlowEngine } from '../../../train/engine/tensorflow/tensorflow-engine.ts';
import { describeWithTensorflow } from '../../support/requirements.ts';
import { makeTemporaryFolder } from '../../support/temporary-folder.ts';

const X86 = 'processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu avx2 avx512f avx512_vnni\n';

describe('adviseOnBfloat16', () => {
  it.each([
    ['AVX-512', X86.replace('avx512_vnni', 'avx512_bf16 avx512_vnni')],
    ['AMX', X86.replace('avx512_vnni', 'amx_tile amx_bf16')],
    ['ARM', 'processor\t: 0\nFeatures\t: fp asimd bf16 i8mm\n'],
  ])('is silent where the CPU multiplies it itself: %s', (_, cpuInfo) => {
    expect(adviseOnBfloat16(cpuInfo)).toBeUndefined();
  });

  it('says in one line that there is no fast path, and what to do', () => {
    expect(adviseOnBfloat16(X86)).toBe(
      'bfloat16 has no fast path on this CPU (none of avx512_bf16, amx_bf16, bf16 in /proc/cpuinfo); --precision float32 is likely faster',
    );
    // The name of a longer flag is not the flag.
    expect(adviseOnBfloat16(X86.replace('avx512_vnni', 'avx512_bf16x'))).toContain('no fast path');
  });

  it('says that it cannot tell where the system does not', () => {
    expect(adviseOnBfloat16(undefined)).toContain('compare with --precision float32');
    expect(readCpuInfo('/nowhere/cpuinfo')).toBeUndefined();
  });
});

describe('readGpuName', () => {
  it('reads the model of the first GPU', async () => {
    const folder = await makeTemporaryFolder();
    expect(readGpuName(folder)).toBeUndefined();
    expect(readGpuName(join(folder, 'none'))).toBeUndefined();
    for (const [slot, model] of [
      ['0000:00:1f.0', 'NVIDIA A100'],
      ['0000:00:05.0', 'NVIDIA H200'],
    ] as const) {
      await mkdir(join(folder, slot));
      await writeFile(join(folder, slot, 'information'), `Model: \t\t ${model}\nIRQ:   \t\t 11\n`);
    }
    expect(readGpuName(folder)).toBe('NVIDIA H200');
  });
});

describeWithTensorflow('the engine', () => {
  it('advises on bfloat16 only, and only where the CPU has no fast path', () => {
    const addon = { ...loadTensorFlowAddon(), cuda: false };
    expect(new TensorFlowEngine(addon, { precision: 'bfloat16', cpuInfo: X86 }).advice).toContain('no fast path');
    expect(new TensorFlowEngine(addon, { precision: 'float32', cpuInfo: X86 }).advice).toBeUndefined();
    expect(new TensorFlowEngine({ ...addon, cuda: true }, { precision: 'bfloat16', cpuInfo: X86 }).advice).toBe(
      undefined,
    );
  });
});
