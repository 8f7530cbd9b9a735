/** The WebAssembly modules of the server, compiled from its own files and the installed packages. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { chooseVariant, type KernelVariant } from '../../shared/engine/kernel-module.ts';
import type { EngineBuild } from '../inference/served-engine.ts';

export interface WasmModules {
  engine: EngineBuild;
  jpeg: WebAssembly.Module;
  webp: WebAssembly.Module;
}

/** `variant` is the build of the engine's kernels. Default: the fastest one here. */
export async function compileWasmModules(variant: KernelVariant = chooseVariant()): Promise<WasmModules> {
  const [module, jpeg, webp] = await Promise.all([
    compile(`../../shared/engine/wasm/edge-${variant}.wasm`),
    compile('@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm'),
    compile('@jsquash/webp/codec/dec/webp_dec.wasm'),
  ]);
  return { engine: { variant, module }, jpeg, webp };
}

async function compile(specifier: string): Promise<WebAssembly.Module> {
  return WebAssembly.compile(await readFile(fileURLToPath(import.meta.resolve(specifier))));
}
