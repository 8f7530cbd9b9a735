/**
 * Loads Dawn, the WebGPU of Chromium, from the npm package `webgpu` that `npm run setup:webgpu` installs. It is no
 * dependency, because it has 130 MB of binaries for all systems.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ProductError } from '../../../shared/errors.ts';

const SETUP_COMMAND = 'npm run setup:webgpu';

/** The part of the package that is used. */
export interface Dawn {
  /** Version of the npm package. */
  readonly version: string;
  readonly gpu: GPU;
  readonly globals: DawnModule['globals'];
}

interface DawnModule {
  create(this: void, options: readonly string[]): GPU;
  /** Classes and constants that browsers have as globals. */
  readonly globals: Readonly<Record<string, unknown>>;
}

export type WebgpuSetUp = { readonly ready: true; readonly entry: string } | { readonly ready: false; reason: string };

/** Tells without loading anything whether Dawn is installed, and if not, what to run. */
export function isWebgpuSetUp(): WebgpuSetUp {
  const folder = resolve(process.env['RESNET_WEBGPU_DIR'] || join(import.meta.dirname, '../../../.webgpu'));
  try {
    return { ready: true, entry: createRequire(join(folder, 'package.json')).resolve('webgpu') };
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND')) throw error;
    return { ready: false, reason: `WebGPU is not set up in ${folder}; run \`${SETUP_COMMAND}\`` };
  }
}

/** Dawn stops working when the object that made it is collected, so this one lives as long as the process. */
let loaded: Promise<Dawn> | undefined;

/**
 * Load Dawn into this process, once. Which Vulkan driver it finds is decided by the environment at that moment
 * (`VK_DRIVER_FILES`).
 *
 * Errors: `engine/unavailable` where it is not set up or has no binary for this system
 */
export async function loadDawn(): Promise<Dawn> {
  const setUp = isWebgpuSetUp();
  if (!setUp.ready) throw new ProductError('engine/unavailable', setUp.reason);
  loaded ??= startDawn(setUp.entry);
  try {
    return await loaded;
  } catch (error) {
    loaded = undefined;
    throw error;
  }
}

async function startDawn(entry: string): Promise<Dawn> {
  try {
    const { create, globals }: DawnModule = await import(pathToFileURL(entry).href);
    const { version }: { version: string } = JSON.parse(readFileSync(join(dirname(entry), 'package.json'), 'utf8'));
    return { version, gpu: create([]), globals };
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    throw new ProductError(
      'engine/unavailable',
      `the WebGPU package in ${dirname(entry)} does not load on ${process.platform} ${process.arch}: ${found}; run \`${SETUP_COMMAND}\` again, or choose another --engine`,
      { cause: error },
    );
  }
}
