/** One contender of training.ts: ResNet-18 for 32x32 on our `tensorflow` engine. Protocol: as training-torch.py. */
import { createInterface } from 'node:readline';
import { architectureOf } from '../../shared/architecture.ts';
import { loadTensorFlowAddon } from '../../train/engine/tensorflow/addon.ts';
import { TensorFlowEngine } from '../../train/engine/tensorflow/tensorflow-engine.ts';
import { StepMachine } from '../support/step-machine.ts';

const [precision, batchSize] = process.argv.slice(2);
const engine = new TensorFlowEngine(loadTensorFlowAddon(), {
  precision: precision === 'bfloat16' ? 'bfloat16' : 'float32',
  formulations: 'measured',
});
const architecture = architectureOf('resnet18', { classes: 10, inputShape: [32, 32, 3] });
const machine = new StepMachine({ engine, architecture, batchSize: Number(batchSize) });
await machine.step();
console.log(JSON.stringify(`ours, ${engine.device}`));
for await (const line of createInterface({ input: process.stdin })) {
  const times: number[] = [];
  for (let step = 0; step < Number(line); step++) {
    const startedAt = performance.now();
    await machine.step();
    times.push(performance.now() - startedAt);
  }
  console.log(JSON.stringify(times));
}
