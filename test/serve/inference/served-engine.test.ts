import { getBackend } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { compileWasmModules } from '../../../serve/node/wasm-modules.ts';
import { parseEdgeMode, startEngine } from '../../../serve/inference/served-engine.ts';

test('a start that failed is tried again by the next call, and the first build stays', async () => {
  const { engine, jpeg } = await compileWasmModules('simd');
  await expect(startEngine({ variant: 'relaxed', module: jpeg }, 'fast')).rejects.toThrow(/import|module|function/i);
  const started = await startEngine(engine, 'exact');
  expect(getBackend()).toBe('edge');
  expect(started).toMatchObject({ variant: 'simd', mode: 'exact' });
  const again = await startEngine((await compileWasmModules('relaxed')).engine, 'fast');
  expect(again).toEqual({ ...started, mode: 'fast' });
});

test('the mode is fast unless the operator says otherwise', () => {
  expect([undefined, '', 'fast', 'exact'].map(parseEdgeMode)).toEqual(['fast', 'fast', 'fast', 'exact']);
  expect(() => parseEdgeMode('quick')).toThrow('EDGE_MODE is "quick"; fast or exact is expected');
});
