/**
 * TensorFlow.js' own tests of the operations that the edge backend has kernels for, run on it; prints what came of them as
 * JSON. A program of its own, because Jasmine takes the global `describe`, `it` and `expect`.
 */
import { startEdgeBackend } from '../../shared/engine/backend.ts';
import { compileEngineModule } from '../support/edge-engine.ts';
import { runTfjsCoreSuite } from './tfjs-core-suite.ts';

const FILES = [
  ...['conv2d_test', 'fused/fused_conv2d_test', 'relu_test', 'sigmoid_test', 'softmax_test', 'max_pool_test'],
  ...['batchnorm_test', 'arithmetic_test'],
].map((file) => `ops/${file}`);

await startEdgeBackend(compileEngineModule());
console.log(JSON.stringify(await runTfjsCoreSuite({ backendName: 'edge', files: FILES })));
