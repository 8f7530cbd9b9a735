/**
 * `npm run bench:precision -- [steps] [network]`: the loss of each step in bfloat16 and in float32, from the same seed on
 * the same batches of CIFAR-10 (`CIFAR10_DIR`). Writes `precision-NETWORK.json` and `.svg` into train/results/.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { architectureOf, NETWORK_NAMES } from '../../shared/architecture.ts';
import { buildLayerTable } from '../../shared/resnet.ts';
import { trainingBatches } from '../../train/batches.ts';
import { loadTensorFlowAddon } from '../../train/engine/tensorflow/addon.ts';
import { TensorFlowEngine } from '../../train/engine/tensorflow/tensorflow-engine.ts';
import type { Precision } from '../../train/engine/tensorflow/tensorflow-engine.ts';
import { initializeParameters } from '../../train/initialize.ts';
import { obtainCifar10, DATA_CACHE_FOLDER } from '../../train/download.ts';
import { describeHardware } from '../../train/provenance.ts';
import { createRandom } from '../../train/random.ts';
import { CHART_STYLE, drawCharts, spaceEvenly } from '../../train/report/chart.ts';
import type { Point } from '../../train/report/chart.ts';
import { learningRateAt } from '../../train/schedule.ts';
import { TrainingState } from '../../train/training-state.ts';

const SEED = 1;
/** Points of the plot are means over so many steps: single batches of 128 scatter more than the precisions differ. */
const MEAN_OVER = 20;

const [stepText = '500', networkText = 'resnet20'] = process.argv.slice(2);
const totalSteps = Number(stepText);
const network = NETWORK_NAMES.find((name) => name === networkText);
if (network === undefined) throw new Error(`there is no network "${networkText}"`);
const report = (line: string): void => void process.stderr.write(`${line}\n`);
const dataset = await obtainCifar10({ cacheDir: DATA_CACHE_FOLDER, report, dataDir: process.env['CIFAR10_DIR'] });
const table = buildLayerTable(architectureOf(network, { classes: 10, inputShape: dataset.imageShape }));

async function computeLosses(precision: Precision): Promise<number[]> {
  const engine = new TensorFlowEngine(loadTensorFlowAddon(), { precision });
  const values = initializeParameters(table, createRandom(SEED).fork('initialize'), { lastGamma: 1 });
  const parameters = table
    .flatMap((row) => row.parameters)
    .map(({ name, shape }) => [name, { shape, values: values.get(name) ?? new Float32Array() }] as const);
  const rules = {
    optimizer: { kind: 'sgd', momentum: 0.9, nesterov: true, weightDecay: 5e-4, decayed: 'kernels' },
    weightAverage: null,
  } as const;
  const state = new TrainingState(engine, table, { parameters: new Map(parameters) }, rules);
  const losses: number[] = [];
  for (let epoch = 0; losses.length < totalSteps; epoch++) {
    const batches = trainingBatches({
      images: dataset.training,
      imageShape: dataset.imageShape,
      normalization: dataset.normalization,
      batchSize: 128,
      augment: { flip: 'random', crop: { padding: 4, mode: 'zero' }, cutout: null },
      epoch,
      random: createRandom(SEED).fork('batches'),
      firstStep: 0,
    });
    for (const batch of batches) {
      const step = losses.length;
      if (step === totalSteps) break;
      const schedule = { kind: 'one-cycle', peak: 0.1, warmupShare: 0.2, finalShare: 0 } as const;
      const learningRate = learningRateAt(schedule, { step, totalSteps });
      losses.push((await state.step(batch, { step, learningRate, labelSmoothing: 0 })).loss);
      if (losses.length % 100 === 0) report(`${precision}: step ${losses.length}, loss ${losses.at(-1)?.toFixed(4)}`);
    }
  }
  state.dispose();
  return losses;
}

function average(losses: readonly number[]): Point[] {
  return Array.from({ length: Math.floor(losses.length / MEAN_OVER) }, (_, index) => {
    const part = losses.slice(index * MEAN_OVER, (index + 1) * MEAN_OVER);
    return { x: (index + 1) * MEAN_OVER, y: part.reduce((sum, loss) => sum + loss, 0) / part.length };
  });
}

const float32 = await computeLosses('float32');
const bfloat16 = await computeLosses('bfloat16');
const [exact, rounded] = [average(float32), average(bfloat16)];
const differences = exact.map(({ y }, index) => Math.abs(y - (rounded[index]?.y ?? Number.NaN)));
const summary = {
  network,
  seed: SEED,
  batchSize: 128,
  hardware: describeHardware(),
  meanOver: MEAN_OVER,
  lastMean: { float32: exact.at(-1)?.y, bfloat16: rounded.at(-1)?.y },
  meanDifference: differences.reduce((sum, each) => sum + each, 0) / differences.length,
  largestDifference: Math.max(...differences),
};
const round = (losses: readonly number[]): number[] => losses.map((loss) => Number(loss.toFixed(4)));
const folder = join(import.meta.dirname, '../../train/results');
const name = `precision-${network}`;
const record = { ...summary, losses: { float32: round(float32), bfloat16: round(bfloat16) } };
await writeFile(join(folder, `${name}.json`), `${JSON.stringify(record)}\n`);
const highest = Math.ceil(Math.max(...exact.map(({ y }) => y), ...rounded.map(({ y }) => y)));
const chart = {
  title: `Training loss of ${network} (nats, means over ${MEAN_OVER} steps)`,
  x: { label: 'step', low: 0, high: totalSteps, ticks: spaceEvenly(0, totalSteps, 5), format: String },
  y: {
    label: '',
    low: 0,
    high: highest,
    ticks: spaceEvenly(0, highest, 5),
    format: (value: number) => value.toFixed(1),
  },
  series: [
    { name: 'float32', look: 'first', points: exact },
    { name: 'bfloat16', look: 'second', points: rounded },
  ],
} as const;
const words = `Training loss of ${network} over ${totalSteps} steps in float32 and bfloat16`;
await writeFile(join(folder, `${name}.svg`), drawCharts([chart], words, CHART_STYLE));
process.stdout.write(`${JSON.stringify(summary, null, 1)}\n`);
