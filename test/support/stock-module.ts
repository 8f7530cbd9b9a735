/** TensorFlow.js' own wasm backend from a compiled WebAssembly module, on every platform. tfjs would fetch and compile it. */
import { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import moduleFactory, { type BackendWasmModule } from '@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm.js';
import { registerBackend, removeBackend, setBackend } from '@tensorflow/tfjs-core';

const BACKEND = 'wasm';

/** The part of Emscripten's module that is used; tfjs' own types name a package that it does not bring along. */
interface EmscriptenModule {
  cwrap: (name: string, result: 'number' | null, parameters: 'number'[]) => (...values: number[]) => number;
}

/** What the file exports; its own type calls this the property `default` of what it exports. */
const startModule = moduleFactory as unknown as typeof moduleFactory.default;

/** Make it the current backend. */
export async function startStockModule(module: WebAssembly.Module): Promise<void> {
  const wasm = await instantiate(module);
  // As setup in tfjs-backend-wasm/src/backend_wasm.ts does it.
  const { cwrap: wrap } = wasm as unknown as EmscriptenModule;
  wasm.tfjs = {
    init: wrap('init', null, []),
    initWithThreadsCount: wrap('init_with_threads_count', null, ['number']),
    getThreadsCount: wrap('get_threads_count', 'number', []),
    registerTensor: wrap('register_tensor', null, ['number', 'number', 'number']),
    disposeData: wrap('dispose_data', null, ['number']),
    dispose: wrap('dispose', null, []),
  };
  // The package registers a backend of that name when it is imported: the one that would fetch.
  removeBackend(BACKEND);
  registerBackend(BACKEND, () => new BackendWasm(wasm));
  if (!(await setBackend(BACKEND))) throw new Error(`internal: the ${BACKEND} backend did not start`);
}

function instantiate(module: WebAssembly.Module): Promise<BackendWasmModule> {
  return new Promise((resolve, reject) => {
    startModule({
      instantiateWasm(imports: WebAssembly.Imports, receive: (instance: { exports: WebAssembly.Exports }) => void) {
        try {
          const instance = new WebAssembly.Instance(module, imports);
          receive(instance);
          return instance.exports;
        } catch (error) {
          // Thrown on, Emscripten would answer by fetching the file from the network.
          reject(error as Error);
          return {};
        }
      },
    }).then(resolve, reject);
  });
}
