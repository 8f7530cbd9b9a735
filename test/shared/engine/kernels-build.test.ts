import { expect, test } from 'vitest';
import { compileEngine } from '../../../build-engine.ts';
import { chooseVariant } from '../../../shared/engine/kernel-module.ts';
import { readEngineBytes, VARIANTS } from '../../support/edge-engine.ts';

test('the committed modules are what their sources compile to, byte for byte', async () => {
  const modules = await compileEngine();
  expect([...modules.keys()]).toEqual(VARIANTS.map((variant) => `edge-${variant}.wasm`));
  for (const variant of VARIANTS) {
    const built = modules.get(`edge-${variant}.wasm`);
    expect(readEngineBytes(variant).equals(built ?? new Uint8Array()), `npm run build:engine (${variant})`).toBe(true);
  }
}, 120_000);

test('this runtime gets a build that it can compile', () => {
  const variant = chooseVariant();
  expect(VARIANTS).toContain(variant);
  expect(WebAssembly.validate(Uint8Array.from(readEngineBytes(variant)))).toBe(true);
});
