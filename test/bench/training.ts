/**
 * `npm run bench:training -- [options]`: one training step of ResNet-18 for 32x32 (11,173,962 parameters, SGD with
 * Nesterov momentum and decay) here, in PyTorch and in Keras 3, in turns in one run: same batch, same precision.
 *
 *   --torch DIR         packages of `pip install --target DIR torch` (again for another version), or `system` for the
 *                       Python packages of the system
 *   --keras DIR         packages of `pip install --target DIR tensorflow-cpu==2.21.0`
 *   --precision NAME    bfloat16, float32 (default: one after the other)
 *   --rounds N          each with --steps N steps of every contender (default 10 with 5)
 *   --batch-size N      default 128
 *   --python PROGRAM    default python3
 *   --out FILE          all times as JSON
 *
 * Only one contender computes at a time; the first round warms up and does not count. The rate is of the median step.
 */
import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { describeHardware, readCommit } from '../../train/provenance.ts';

const { values: flags } = parseArgs({
  options: {
    torch: { type: 'string', multiple: true, default: [] },
    keras: { type: 'string', multiple: true, default: [] },
    precision: { type: 'string', multiple: true, default: ['bfloat16', 'float32'] },
    rounds: { type: 'string', default: '10' },
    steps: { type: 'string', default: '5' },
    'batch-size': { type: 'string', default: '128' },
    python: { type: 'string', default: 'python3' },
    out: { type: 'string' },
  },
});
const OURS = fileURLToPath(new URL('training-ours.ts', import.meta.url));
const [rounds, batchSize] = [Number(flags.rounds), Number(flags['batch-size'])];

/** A process that runs steps when asked. */
class Contender {
  readonly #child;
  readonly #lines: AsyncIterator<string>;
  readonly milliseconds: number[] = [];
  name = '';

  constructor(command: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
    this.#child = spawn(command, args, {
      env: { ...process.env, ...environment },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async start(): Promise<void> {
    this.name = String(await this.#read());
  }

  async run(steps: string): Promise<number[]> {
    this.#child.stdin.write(`${steps}\n`);
    return (await this.#read()) as number[];
  }

  stop(): void {
    this.#child.kill();
  }

  /** What is not JSON is some library talking. */
  async #read(): Promise<unknown> {
    for (;;) {
      const { value, done } = await this.#lines.next();
      if (done === true) throw new Error(`a contender ended early: ${this.#child.spawnargs.join(' ')}`);
      if (/^["[]/.test(value)) return JSON.parse(value);
    }
  }
}

function startPython(script: string, packages: string, precision: string): Contender {
  const environment = packages === 'system' ? {} : { PYTHONPATH: packages };
  return new Contender(flags.python, [join(import.meta.dirname, script), precision, String(batchSize)], environment);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

const record: Record<string, unknown> = { hardware: describeHardware(), commit: await readCommit(), batchSize };
console.log(`${String(record['hardware'])}, commit ${String(record['commit'])}, batch ${batchSize}`);
for (const precision of flags.precision) {
  const contenders = [
    new Contender(process.execPath, [OURS, precision, String(batchSize)]),
    ...flags.torch.map((packages) => startPython('training-torch.py', packages, precision)),
    ...flags.keras.map((packages) => startPython('training-keras.py', packages, precision)),
  ];
  try {
    for (const contender of contenders) await contender.start();
    for (let round = 0; round <= rounds; round++) {
      for (const contender of contenders) {
        const times = await contender.run(flags.steps);
        if (round > 0) contender.milliseconds.push(...times);
      }
    }
  } finally {
    for (const contender of contenders) contender.stop();
  }
  const [ours] = contenders;
  const rateOf = ({ milliseconds }: Contender): number => (1000 * batchSize) / median(milliseconds);
  console.log(`\n${precision}: medians of ${rounds} x ${flags.steps} steps`);
  for (const contender of contenders) {
    const ratio = ours === undefined ? Number.NaN : rateOf(ours) / rateOf(contender);
    const rate = `${rateOf(contender).toFixed(1)} images/s`.padStart(15);
    console.log(
      `${contender.name.padEnd(48)}${rate}${`${median(contender.milliseconds).toFixed(0)} ms`.padStart(9)}   ours is ${ratio.toFixed(2)} x`,
    );
  }
  record[precision] = contenders.map(({ name, milliseconds }) => ({ name, milliseconds }));
}
if (flags.out !== undefined) await writeFile(flags.out, `${JSON.stringify(record)}\n`);
