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
  decode(data: Uint8Array, preserveOrientation?: boolean): unknown;
}

/** What jSquash's JavaScript files export; their own types name a namespace that they do not bring along. */
export type EmscriptenFactory = (options: EmscriptenOptions) => Promise<EmscriptenModule>;

/**
 * What a decoder makes of its result, in place of the browser's ImageData: the picture is handed to whoever wants it
 * while it lies in the decoder's memory, and never copied as a whole.
 */
export interface RgbaView {
  /** [height, width, 4] uint8, alpha not premultiplied; in the decoder's memory, valid during the call, may be changed */
  data: Uint8Array;
  width: number;
  height: number;
}

/** Called once at most, without waiting: the picture as stored, not turned by EXIF. */
export type UsePicture<Result> = (picture: RgbaView) => Result;

export interface WasmCodec {
  /** What `use` gave, with what the decoder had to remark; undefined when the decoder failed. */
  decode<Result>(
    bytes: Uint8Array,
    use: UsePicture<Result>,
  ): Promise<{ result: Result | undefined; remarks: readonly string[] }>;
  /** Let go of memory that a large picture took; the next one takes it anew. */
  shrink(): void;
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
    async decode(bytes, use) {
      const instance = shelf ?? (await startInstance(factory, wasm));
      // From here to the return nothing waits, so no other call can see the instance.
      shelf = undefined;
      const { remarks, module } = instance;
      remarks.length = 0;
      const result = runDecoder(instance, use, () => module.decode(bytes, ...decodeArguments));
      if (isReused && result !== undefined) shelf = instance;
      return { result, remarks: [...remarks] };
    },
    shrink() {
      if (shelf !== undefined && shelf.module.HEAPU8.byteLength > shelf.initialBytes) shelf = undefined;
    },
  };
}

function runDecoder<Result>({ remarks }: Instance, use: UsePicture<Result>, run: () => unknown): Result | undefined {
  let result: Result | undefined;
  try {
    withGlobals((picture) => (result = use(picture)), run);
    return result;
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
  const starting = withGlobals(undefined, () =>
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

let receive: ((picture: RgbaView) => unknown) | undefined;

/** The decoders copy their result with this out of their memory, and make the next one of the copy. */
function KeepView(view: Uint8Array): Uint8Array {
  return view;
}

/** Called as a constructor while the result still lies in the decoder's memory. */
function ReceiveImageData(data: Uint8Array, width: number, height: number): void {
  receive?.({ data, width, height });
}

const STAND_INS: Readonly<Record<string, unknown>> = { ImageData: ReceiveImageData, Uint8ClampedArray: KeepView };

/**
 * Runs jSquash code, which expects globals of the browser and leaves its own behind where there are none: ImageData,
 * and in Workers `location`. `run` must not wait, so that nobody else ever sees them.
 */
function withGlobals<Result>(use: ((picture: RgbaView) => unknown) | undefined, run: () => Result): Result {
  const before = [...Object.keys(STAND_INS), 'location'].map(
    (name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const,
  );
  for (const [name, value] of Object.entries(STAND_INS)) {
    Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  }
  receive = use;
  try {
    return run();
  } finally {
    receive = undefined;
    for (const [name, descriptor] of before) {
      if (descriptor === undefined) Reflect.deleteProperty(globalThis, name);
      else if (name in STAND_INS) Object.defineProperty(globalThis, name, descriptor);
    }
  }
}
