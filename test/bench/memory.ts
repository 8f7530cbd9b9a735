/**
 * `npm run bench:memory -- [steps] [precision]`: resident memory and tensors while a small network trains.
 *
 * Prints one line every tenth of the steps.
 */
import { architectureOf } from '../../shared/architecture.ts';
import { loadTensorFlowAddon } from '../../train/engine/tensorflow/addon.ts';
import { TensorFlowEngine } from '../../train/engine/tensorflow/tensorflow-engine.ts';
import { StepMachine } from '../support/step-machine.ts';

const [steps = '2000', precision = 'bfloat16'] = process.argv.slice(2);
const engine = new TensorFlowEngine(loadTensorFlowAddon(), {
  precision: precision === 'float32' ? 'float32' : 'bfloat16',
});
const architecture = architectureOf('resnet8', { classes: 10, inputShape: [32, 32, 3] });
const machine = new StepMachine({ engine, architecture, batchSize: 32 });
for (let step = 1; step <= Number(steps); step++) {
  const { loss } = await machine.step();
  if (step !== 1 && step !== 20 && step % Math.ceil(Number(steps) / 10) !== 0) continue;
  const megabytes = (process.memoryUsage().rss / 1e6).toFixed(1);
  process.stdout.write(`step ${step}: ${megabytes} MB, ${engine.countTensors()} tensors, loss ${loss.toFixed(4)}\n`);
}
