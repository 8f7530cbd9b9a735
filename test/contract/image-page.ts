/** The page that the image contract runs in: shared/image/ as one object, its decoders fetched and compiled as on any page. */
import { ProductError } from '../../shared/errors.ts';
import { createLocalPlatform, type ImagePlatform } from './image-platform.ts';
import { packBytes, unpackBytes } from './packed-bytes.ts';

const compile = (path: string) => WebAssembly.compileStreaming(fetch(path));
const platform = createLocalPlatform({ jpeg: await compile('/jpeg.wasm'), webp: await compile('/webp.wasm') });

/** A method of the platform with its arguments, and what came of it; bytes are packed both ways. */
async function call(method: keyof ImagePlatform, args: unknown): Promise<unknown> {
  try {
    const run = platform[method] as (...args: unknown[]) => Promise<unknown>;
    return { value: packBytes(await run(...(unpackBytes(args) as unknown[]))) };
  } catch (error) {
    if (error instanceof ProductError) {
      const { code, message, details } = error;
      return { refusal: { code, message, details } };
    }
    return { failure: String(error instanceof Error ? error.message : error) };
  }
}

Object.assign(globalThis, { callImagePlatform: call });
