/** The edge engine beside stock tfjs-wasm inside real workerd. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { largestDifference } from '../support/edge-engine.ts';
import { startWorker } from '../support/worker-process.ts';
import { foldModel } from './edge-contenders.ts';
import { median } from './median.ts';

const CONTENDERS = ['stock', 'exact', 'fast'] as const;
const FEW = 3;
const MANY = 23;

/**
 * Time per picture, as the difference between requests of many and of few runs: what a request costs besides is in both.
 * Interleaved rounds, medians. Stock tfjs takes more memory than an isolate may have in production; locally it runs.
 */
export async function measureInWorkerd(options: { folder: string; scratch: string; rounds: number }): Promise<void> {
  const { folder, scratch, rounds } = options;
  const assets = join(scratch, 'assets');
  await foldModel(folder, join(assets, 'folded'));
  cpSync(folder, join(assets, 'shipped'), { recursive: true });
  const worker = await startWorker({
    state: join(scratch, 'state'),
    config: 'test/bench/edge-worker.toml',
    more: ['--assets', assets],
  });
  try {
    const ask = async (contender: string, runs: number): Promise<{ ms: number; logits: number[] }> => {
      const start = performance.now();
      const response = await fetch(`${worker.url}/?contender=${contender}&runs=${runs}`);
      if (!response.ok) throw new Error(`${contender}: ${response.status} ${await response.text()}\n${worker.output}`);
      const logits = (await response.json()) as number[];
      return { ms: performance.now() - start, logits };
    };
    const times = new Map(CONTENDERS.map((contender) => [contender, [] as number[]]));
    const logits = new Map<string, number[]>();
    // Two rounds in which V8 compiles what runs often.
    for (let round = -2; round < rounds; round++) {
      for (const contender of CONTENDERS) {
        const few = await ask(contender, FEW);
        const many = await ask(contender, MANY);
        logits.set(contender, many.logits);
        if (round >= 0) times.get(contender)?.push((many.ms - few.ms) / (MANY - FEW));
      }
    }
    const stockMs = median(times.get('stock') ?? []);
    const stockBest = Math.min(...(times.get('stock') ?? []));
    console.log(`workerd, ${rounds} rounds, (time of ${MANY} runs - time of ${FEW} runs) / ${MANY - FEW}`);
    for (const contender of CONTENDERS) {
      const ms = median(times.get(contender) ?? []);
      const best = Math.min(...(times.get(contender) ?? []));
      const difference = largestDifference(logits.get(contender) ?? [], logits.get('stock') ?? []);
      console.log(
        `${contender.padEnd(8)} ${ms.toFixed(2).padStart(7)} ms   stock/this ${(stockMs / ms).toFixed(2)}x   fastest round ${best.toFixed(2).padStart(6)} ms, ${(stockBest / best).toFixed(2)}x   largest logit difference ${difference.toExponential(1)}`,
      );
    }
  } finally {
    await worker.stop();
  }
}
