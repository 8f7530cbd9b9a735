/**
 * The decoders of jSquash (mozjpeg, libwebp) as plain functions. jSquash's own entry points keep one instance for ever
 * and put a class on the global object; both are avoided here.
 *
 * A failed decode leaks inside its WebAssembly instance until that breaks for sound pictures too (measured: mozjpeg
 * after some 80 failures), and memory that an instance has once taken never shrinks. So an instance is used by one call
 * at a time and goes back on the shelf only if the call went well and its memory did not grow.
 */

/** The part of Emscripten's module options that is used. */
interface EmscriptenOptions {
  noInitialRun: boolean;
  locateFile(path: string): string;
  print(line: string): void;
  printErr(line: string): void;
  instantiateWasm(imports: WebAssembly.Imports, receive: (instance: WebAssembly.Instance) => void): WebAssembly.Exports;
}

interface EmscriptenModule {
  /** Views of the instance's memory; replaced when it grows. */
  HEAPU8: Uint8Array;
  /** mozjpeg takes a second argument, libwebp must not be given one. */
  decode(data: Uint8Array, preserveOrientation?: boolean): RgbaPicture | null;
}

/** What jSquash's JavaScript files export; their own types name a namespace that they do not bring along. */
export type EmscriptenFactory = (options: EmscriptenOptions) => Promise<EmscriptenModule>;

/** Stands in for the browser's ImageData, which the decoders make their result with and workers do not have. */
class RgbaPicture {
  /** [height, width, 4] uint8, alpha not premultiplied */
  readonly data: Uint8ClampedArray;
  readonly width: number;
  readonly height: number;

  constructor(data: Uint8ClampedArray, width: number, height: number) {
    this.data = data;
    this.width = width;
    this.height = height;
  }
}

export interface WasmCodec {
  /** The picture as stored, not turned by EXIF, with what the decoder had to remark; undefined when it failed. */
  decode(bytes: Uint8Array): Promise<{ picture: RgbaPicture | undefined; remarks: readonly string[] }>;
}

interface Instance {
  module: EmscriptenModule;
  initialBytes: number;
  remarks: string[];
}

export interface WasmCodecOptions {
  factory: EmscriptenFactory;
  wasm: WebAssembly.Module;
  /** What the decoder takes behind the file's bytes. */
  decodeArguments: [] | [preserveOrientation: boolean];
  /** Whether an instance may decode several pictures, of several callers. */
  isReused: boolean;
}

export function createWasmCodec({ factory, wasm, decodeArguments, isReused }: WasmCodecOptions): WasmCodec {
  let shelf: Instance | undefined;
  return {
    async decode(bytes) {
      const instance = shelf ?? (await startInstance(factory, wasm));
      // From here to the return nothing waits, so no other call can see the instance.
      shelf = undefined;
      const { remarks, module, initialBytes } = instance;
      remarks.length = 0;
      const picture = runDecoder(instance, () => module.decode(bytes, ...decodeArguments));
      const isSound = picture !== undefined && module.HEAPU8.byteLength === initialBytes;
      if (isReused && isSound) shelf = instance;
      return { picture, remarks: [...remarks] };
    },
  };
}

function runDecoder({ remarks }: Instance, run: () => RgbaPicture | null): RgbaPicture | undefined {
  try {
    return withImageData(run) ?? undefined;
  } catch (error) {
    // A bad file ends in a trap, or in something that is no Error: ExitStatus, or the address of a C++ exception.
    if (error instanceof Error && !(error instanceof WebAssembly.RuntimeError)) throw error;
    if (remarks.length === 0) remarks.push(error instanceof Error ? error.message : 'the decoder gave up');
    return undefined;
  }
}

async function startInstance(factory: EmscriptenFactory, wasm: WebAssembly.Module): Promise<Instance> {
  let failure: { error: unknown } | undefined;
  const remarks: string[] = [];
  const remark = (line: string) => remarks.push(line);
  const starting = withImageData(() =>
    factory({
      noInitialRun: true,
      locateFile: (path) => path,
      print: remark,
      printErr: remark,
      instantiateWasm(imports, receive) {
        try {
          const started = new WebAssembly.Instance(wasm, imports);
          receive(started);
          return started.exports;
        } catch (error) {
          // Thrown on, Emscripten would answer by fetching the file from the network.
          failure = { error };
          return {};
        }
      },
    }),
  );
  if (failure !== undefined) throw failure.error;
  const module = await starting;
  return { module, initialBytes: module.HEAPU8.byteLength, remarks };
}

/**
 * Runs jSquash code, which expects globals of the browser and leaves its own behind where there are none: ImageData,
 * and in Workers `location`. `run` must not wait, so that nobody else ever sees them.
 */
function withImageData<Result>(run: () => Result): Result {
  const before = ['ImageData', 'location'].map(
    (name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const,
  );
  Object.defineProperty(globalThis, 'ImageData', { value: RgbaPicture, configurable: true, writable: true });
  try {
    return run();
  } finally {
    for (const [name, descriptor] of before) {
      if (descriptor === undefined) Reflect.deleteProperty(globalThis, name);
      else if (name === 'ImageData') Object.defineProperty(globalThis, name, descriptor);
    }
  }
}
