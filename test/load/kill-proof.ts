/** A server and a promotion without end, killed at any moment: the store is whole, and says the old model or the new. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { openFolderStore } from '../../serve/node/folder-store.ts';
import { readChannel, readHistory } from '../../serve/store/channel-pointer.ts';
import { DEFAULT_CHANNEL } from '../../shared/store.ts';
import type { Random } from '../../train/random.ts';
import { post } from './open-loop.ts';
import { startServerProcess, type ServerProcess } from './server-process.ts';
import type { TwoModels } from './two-models.ts';

const FOREVER = fileURLToPath(new URL('../support/release-forever.ts', import.meta.url));
/** Longest time from the first promotion to the kill. */
const LONGEST_MS = 200;

export interface KillResult {
  servers: number;
  promotions: number;
  /** Of the pointer, at the end. */
  seq: number;
  answers: number;
}

/** Kills both, or one of them, in turns. Throws at the first thing that is wrong. */
export async function killAtRandom(
  models: TwoModels,
  {
    body,
    kills,
    random,
    environment,
  }: {
    body: Uint8Array;
    kills: number;
    random: Random;
    environment: Record<string, string>;
  },
): Promise<KillResult> {
  const settings = { MODEL_STORE: models.store, POINTER_TTL_MS: '0', ...environment };
  const result: KillResult = { servers: 0, promotions: 0, seq: 0, answers: 0 };
  let server: ServerProcess | undefined;
  try {
    while (result.servers + result.promotions < kills) {
      server ??= await startServerProcess(settings);
      const promoting = await startPromoting(models);
      const asking = askUntilItEnds(server.url, models, body);
      await new Promise((resolve) => setTimeout(resolve, random.next() * LONGEST_MS));
      const isServerKilled = (result.servers + result.promotions) % 2 === 0;
      if (isServerKilled) {
        await server.end('SIGKILL');
        server = undefined;
        result.servers += 1;
      }
      promoting.child.kill('SIGKILL');
      await promoting.ended;
      result.promotions += 1;
      if (promoting.reported() !== '') throw new Error(promoting.reported());
      result.answers += await asking.stop();
      const { seq, champion } = await checkStore(models, result.seq);
      result.seq = seq;
      // Whoever starts now serves what the pointer says.
      server ??= await startServerProcess(settings);
      await expectChampion(server, models, { champion, body });
    }
  } finally {
    await server?.end('SIGKILL');
  }
  return result;
}

async function startPromoting({ store, ids }: TwoModels): Promise<{
  child: ChildProcess;
  ended: Promise<unknown>;
  reported: () => string;
}> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', FOREVER, store, ...ids], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  child.stderr.on('data', (data: Buffer) => (text += data.toString()));
  const ended = once(child, 'close');
  await Promise.race([once(child.stdout, 'data'), ended]);
  return { child, ended, reported: () => text };
}

function askUntilItEnds(url: string, models: TwoModels, body: Uint8Array): { stop: () => Promise<number> } {
  const work = { isOver: false, answers: 0 };
  const asking = (async () => {
    while (!work.isOver) {
      // A server that was killed cuts its connections: that is no answer, and not a wrong one.
      const answer = await post(`${url}/classify`, body).catch(() => undefined);
      if (answer === undefined) return;
      const fault = models.judge(answer);
      if (fault !== undefined) throw new Error(fault);
      work.answers += 1;
    }
  })();
  asking.catch(() => undefined);
  return {
    async stop() {
      work.isOver = true;
      await asking;
      return work.answers;
    },
  };
}

/** Readable, one of the two, no step back, and a history without a gap. */
async function checkStore({ store, ids }: TwoModels, seqBefore: number): Promise<{ seq: number; champion: string }> {
  const opened = openFolderStore(store);
  const { champion, seq } = (await readChannel(opened, DEFAULT_CHANNEL)).channel;
  if (champion === null || !ids.includes(champion)) throw new Error(`the pointer names ${champion}`);
  if (seq < seqBefore) throw new Error(`the pointer went back from change ${seqBefore} to ${seq}`);
  const changes = await readHistory(opened, DEFAULT_CHANNEL);
  const gap = changes.findIndex((change, index) => change.seq !== index + 1);
  if (gap !== -1 || changes.length !== seq) throw new Error(`the history has ${changes.length} of ${seq} changes`);
  if (changes.at(-1)?.champion !== champion) throw new Error('the last change of the history is not the pointer');
  return { seq, champion };
}

async function expectChampion(
  server: ServerProcess,
  models: TwoModels,
  { champion, body }: { champion: string; body: Uint8Array },
): Promise<void> {
  // A server that went on sees the last change with its next looks.
  for (let look = 0; look < 100; look++) {
    const answer = await post(`${server.url}/classify`, body);
    const fault = models.judge(answer);
    if (fault !== undefined) throw new Error(fault);
    if (answer.headers['x-model-id'] === champion) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`the server does not follow the pointer to ${champion}: ${server.output}`);
}
