/** That steps leave nothing behind: neither handles nor memory. */
import { describe, expect, it } from 'vitest';
import { loadTensorFlowAddon } from '../../../train/engine/tensorflow/addon.ts';
import { TensorFlowEngine } from '../../../train/engine/tensorflow/tensorflow-engine.ts';
import { describeWithTensorflow } from '../../support/requirements.ts';
import { StepMachine } from '../../support/step-machine.ts';
import { tinyArchitecture } from '../../support/tiny-model.ts';

/** Feature maps of one step are about 14 MB: one that is kept shows within a few steps. */
const ARCHITECTURE = tinyArchitecture({ stemChannels: 16, widths: [16, 32], inputShape: [32, 32, 3] });
const LIMIT_BYTES = 40e6;

describeWithTensorflow('the tensorflow engine', () => {
  describe.each(['float32', 'bfloat16'] as const)('in %s', (precision) => {
    it('has as many tensors after each step, and no more memory after a hundred', async () => {
      const engine = new TensorFlowEngine(loadTensorFlowAddon(), { precision });
      const machine = new StepMachine({ engine, architecture: ARCHITECTURE, batchSize: 16 });
      const counts = new Set<number>();
      const advance = async (steps: number): Promise<number> => {
        for (let step = 0; step < steps; step++) {
          await machine.step();
          counts.add(engine.countTensors());
        }
        return process.memoryUsage().rss;
      };
      const before = await advance(30);
      const after = await advance(100);
      expect(counts.size).toBe(1);
      expect(after - before).toBeLessThan(LIMIT_BYTES);
      machine.dispose();
      expect(engine.countTensors()).toBe(0);
    });
  });
});
