/**
 * The edge engine as this process has it: started once, from a compiled build of its kernels that the platform brings.
 */
import { startEdgeBackend, type EdgeBackend } from '../../shared/engine/backend.ts';
import type { KernelVariant } from '../../shared/engine/kernel-module.ts';
import type { EngineMode } from '../../shared/engine/layout.ts';
import { ProductError } from '../../shared/errors.ts';

export interface EngineBuild {
  variant: KernelVariant;
  module: WebAssembly.Module;
}

export interface ServedEngine {
  backend: EdgeBackend;
  /** With relaxed instructions a product is not rounded before it is added: answers differ in the last digits. */
  variant: KernelVariant;
  /** How the models that are loaded with it compute. */
  mode: EngineMode;
}

type StartedEngine = Omit<ServedEngine, 'mode'>;

let starting: Promise<StartedEngine> | undefined;

/**
 * The engine, started if need be. tfjs has one registry per process, so later calls get the first one's build; after a
 * start that failed, the next call tries again.
 */
export async function startEngine(build: EngineBuild, mode: EngineMode): Promise<ServedEngine> {
  starting ??= start(build).catch((error: unknown) => {
    starting = undefined;
    throw error;
  });
  return { ...(await starting), mode };
}

async function start({ variant, module }: EngineBuild): Promise<StartedEngine> {
  return { variant, backend: await startEdgeBackend(module) };
}

/** The operator's setting EDGE_MODE. Errors: 'server/edge-mode'. */
export function parseEdgeMode(text: string | undefined): EngineMode {
  if (text === undefined || text === '') return 'fast';
  if (text === 'fast' || text === 'exact') return text;
  throw new ProductError('server/edge-mode', `EDGE_MODE is "${text}"; fast or exact is expected`);
}
