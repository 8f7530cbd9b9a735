/** What the package exports as `resnet18-edge/engine`. */
export { EDGE_BACKEND, startEdgeBackend, type EdgeBackend, type EdgeMemory } from './backend.ts';
export { chooseVariant, type KernelVariant } from './kernel-module.ts';
export type { EngineMode } from './layout.ts';
export { edgeModelHandler, type EdgeModelOptions } from './model-handler.ts';
export type { EdgeModelFile } from './network-file.ts';
export { ProductError } from '../errors.ts';
