/** What the edge engine is measured against: TensorFlow.js' own wasm backend, on Node. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { startStockModule } from './stock-module.ts';

/** Make the stock wasm backend the current one, with SIMD and one thread. */
export async function startStockBackend(): Promise<void> {
  const file = import.meta.resolve('@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-simd.wasm');
  await startStockModule(await WebAssembly.compile(await readFile(fileURLToPath(file))));
}
