/** What the server and a thread that runs models say to each other. A thread does one thing at a time, in order. */
import type { EngineMode } from '../../../shared/engine/layout.ts';
import type { ErrorCode } from '../../../shared/errors.ts';
import type { ModelResult, ModelTask } from '../../inference/classifier.ts';
import type { LoadedModelParts } from '../../inference/loaded-model.ts';
import type { WasmModules } from '../wasm-modules.ts';

/** What a thread starts with. Compiled modules are shared, not copied. */
export interface ThreadSettings extends WasmModules {
  mode: EngineMode;
}

/** `model` is the number under which the thread knows a loaded model; `free` is not answered. */
export type ThreadOrder =
  | { kind: 'load'; model: number; folder: string; modelId: string }
  | { kind: 'run'; runs: readonly { model: number; task: ModelTask }[] }
  | { kind: 'free'; model: number };

/** Of the runs of an order, none is begun after so long: those that wait for the first ones hear of them. */
export const LONGEST_SHARE_MS = 100;

/** The task as a message: a view would take all of the request's body to the thread with it. */
export function packTask(task: ModelTask): ModelTask {
  const { input } = task;
  return { ...task, input: 'file' in input ? { file: packBytes(input.file) } : { pixels: packBytes(input.pixels) } };
}

export function countBytes({ input }: ModelTask): number {
  return 'file' in input ? input.file.length : input.pixels.length;
}

function packBytes(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();
}

export type ThreadAnswer =
  | { kind: 'started' }
  | { kind: 'loaded'; parts: LoadedModelParts }
  /** Of the runs of the order, as many as were begun: the first of them. */
  | { kind: 'done'; outcomes: readonly RunOutcome[] }
  | Refused;

/** `waitMs` is the time that the run waited for others of its order. */
export type RunOutcome = { kind: 'result'; result: ModelResult; waitMs: number; computeMs: number } | Refused;

/** A ProductError. Any other error ends the thread: nobody knows what state it left behind. */
export interface Refused {
  kind: 'refused';
  code: ErrorCode;
  message: string;
  details: Readonly<Record<string, unknown>>;
}
