/**
 * `npm run soak`: a real server under load, under swaps, and killed, for as long as it takes. Exit status 1 when anything
 * is wrong. The suite has the same in small (soak.test.ts).
 *
 *   --only PART       load, swaps or kills (default: all)
 *   --clients N       (default 64)      --seconds N   below the limit, a third of it above (default 60, least 30)
 *   --swaps N         (default 200, least 10)         --kills N     (default 100)
 *   --rate N          requests a second below the limit (default: half of what the server can do)
 *   --first DIR, --second DIR   model folders (default: the shipped one, and one of its form with random weights)
 */
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseManifest } from '../../shared/manifest.ts';
import { createRandom } from '../../train/random.ts';
import { writeTinyModel } from '../support/tiny-model.ts';
import { killAtRandom } from './kill-proof.ts';
import { describeLoad, findGrowth, judgeOverload, measureCapacity, sendAndWatch } from './load-proof.ts';
import { startServerProcess } from './server-process.ts';
import { parseSoakOptions } from './soak-options.ts';
import { swapUnderLoad } from './swap-proof.ts';
import { publishTwoModels } from './two-models.ts';

const { parts, clients, seconds, swaps, kills, rate, ...folders } = parseSoakOptions(process.argv.slice(2));
const body = readFileSync('web/public/samples/automobile-red.png');
const shipped = readdirSync('serve/models').find((name) => name.length === 64) ?? '';
const first = folders.first ?? join('serve/models', shipped);
const models = await publishTwoModels([first, folders.second ?? (await makeSecond(first))], body);
console.log(
  `${cpus()[0]?.model ?? 'unknown CPU'}, ${availableParallelism()} cores, Node ${process.version}; models ${models.ids.map((id) => id.slice(0, 8)).join(' and ')}; one picture, POST /classify`,
);
const proofs = { load: proveLoad, swaps: proveSwaps, kills: proveKills };
for (const part of parts) await proofs[part]();

/** As large as the first, and sure to answer differently. */
async function makeSecond(folder: string): Promise<string> {
  const { architecture, classNames } = parseManifest(
    JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as unknown,
  );
  const target = join(mkdtempSync(join(tmpdir(), 'resnet18-edge-second-')), 'model');
  await writeTinyModel(target, { architecture, classNames, seed: 5, name: 'random', weightType: 'float16' });
  return target;
}

async function proveLoad(): Promise<void> {
  const server = await startServerProcess({ MODEL_STORE: models.store });
  const capacity = await measureCapacity(server, { body, clients, seconds: 5 });
  const below = rate ?? Math.max(1, Math.floor(capacity / 2));
  console.log(`${capacity.toFixed(1)} answers/s with ${clients} callers that wait for each`);
  const calm = await sendAndWatch(server, {
    body,
    clients,
    perSecond: below,
    seconds,
    judge: models.judge,
  });
  console.log(describeLoad(`${below} requests/s, ${clients} clients`, calm));
  const above = Math.ceil(capacity * 3);
  const flood = await sendAndWatch(server, {
    body,
    clients: clients * 8,
    perSecond: above,
    seconds: seconds / 3,
    judge: judgeOverload(models.judge),
  });
  console.log(describeLoad(`${above} requests/s, ${clients * 8} clients`, flood));
  const after = await sendAndWatch(server, { body, clients, perSecond: below, seconds: 5, judge: models.judge });
  console.log(describeLoad(`${below} requests/s again`, after));
  await server.end('SIGTERM');
  requireNone('load', [...calm.faults, ...flood.faults, ...after.faults]);
  requireNone(
    'load',
    [calm, flood].map(findGrowth).filter((fault) => fault !== undefined),
  );
  if (flood.byStatus['503'] === undefined) requireNone('load', ['nothing was refused above the limit']);
}

async function proveSwaps(): Promise<void> {
  const server = await startServerProcess({ MODEL_STORE: models.store, POINTER_TTL_MS: '0' });
  const perSecond = rate ?? 20;
  const result = await swapUnderLoad(server, models, { body, swaps, perSecond, clients });
  console.log(describeLoad(`${swaps} swaps in ${result.seconds.toFixed(0)} s at ${perSecond} requests/s`, result));
  await server.end('SIGTERM');
  const growth = findGrowth(result);
  requireNone('swaps', [
    ...result.faults,
    ...(growth === undefined ? [] : [growth]),
    ...(/error/i.test(server.output) ? [server.output] : []),
  ]);
}

async function proveKills(): Promise<void> {
  const result = await killAtRandom(models, { body, kills, random: createRandom(11), environment: {} });
  console.log(
    `${result.servers} kills of the server and ${result.promotions} of a promotion: the store was whole each time, a server that went on followed the pointer ${result.followed} times, ${result.seq} changes without a gap; ${result.answers} answers meanwhile, none wrong`,
  );
}

function requireNone(part: string, faults: readonly string[]): void {
  for (const fault of faults) console.log(`${part}: ${fault}`);
  if (faults.length > 0) process.exitCode = 1;
}
