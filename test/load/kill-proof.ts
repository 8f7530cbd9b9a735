/** A server and a promotion without end, killed at any moment: the store is whole, and says the old model or the new. */
import { spawn } from 'node:child_process';
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
  /** Servers that went on, and then answered with what the pointer said at the end of the promotions. */
  followed: number;
  /** Of the pointer, at the end. */
  seq: number;
  answers: number;
}

/** What is killed, turn by turn. */
const TURNS = [
  { isServerKilled: true, isPromotionKilled: true },
  { isServerKilled: true, isPromotionKilled: false },
  { isServerKilled: false, isPromotionKilled: true },
] as const;

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
  const result: KillResult = { servers: 0, promotions: 0, followed: 0, seq: 0, answers: 0 };
  let server: ServerProcess | undefined;
  try {
    for (let turn = 0; result.servers + result.promotions < kills; turn++) {
      const { isServerKilled, isPromotionKilled } = TURNS[turn % TURNS.length] ?? TURNS[0];
      server ??= await startServerProcess(settings);
      const promoting = await startPromoting(models);
      const asking = askUntilItEnds(server.url, models, body);
      await new Promise((resolve) => setTimeout(resolve, random.next() * LONGEST_MS));
      if (isServerKilled) {
        await server.end('SIGKILL');
        server = undefined;
        result.servers += 1;
      }
      // Where the promotions go on, the next server starts while they do.
      if (!isPromotionKilled) server ??= await startServerProcess(settings);
      await promoting.end(isPromotionKilled ? 'SIGKILL' : 'SIGTERM');
      if (isPromotionKilled) result.promotions += 1;
      const { answers, cut } = await asking.stop();
      if (cut !== undefined && !isServerKilled) throw new Error('a server that went on gave no answer', { cause: cut });
      result.answers += answers;
      const { seq, champion } = await checkStore(models, result.seq);
      result.seq = seq;
      // Whoever starts now serves what the pointer says.
      server ??= await startServerProcess(settings);
      await expectChampion(server, models, { champion, body });
      if (!isServerKilled) result.followed += 1;
    }
  } finally {
    await server?.end('SIGKILL');
  }
  return result;
}

interface Promoting {
  /** At once, or with SIGTERM after the promotion that is under way. Throws what went wrong in any of them. */
  end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>;
}

async function startPromoting({ store, ids }: TwoModels): Promise<Promoting> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', FOREVER, store, ...ids], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let reported = '';
  child.stderr.on('data', (data: Buffer) => (reported += data.toString()));
  const ended = once(child, 'close') as Promise<[status: number | null, signal: string | null]>;
  await Promise.race([once(child.stdout, 'data'), ended]);
  return {
    async end(signal) {
      child.kill(signal);
      const [status, killedBy] = await ended;
      const isRight = signal === 'SIGKILL' ? killedBy === 'SIGKILL' : status === 0;
      if (reported !== '' || !isRight) throw new Error(`promotions ended with ${status ?? killedBy}: ${reported}`);
    },
  };
}

interface Asking {
  /** How many answers there were, and why there was no more of them before this. */
  stop(): Promise<{ answers: number; cut: unknown }>;
}

function askUntilItEnds(url: string, models: TwoModels, body: Uint8Array): Asking {
  const work: { isOver: boolean; answers: number; cut: unknown } = { isOver: false, answers: 0, cut: undefined };
  const asking = (async () => {
    while (!work.isOver) {
      // A server that was killed cuts its connections: that is no answer, and not a wrong one.
      const answer = await post(`${url}/classify`, body).catch((error: unknown) => void (work.cut = error));
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
      return work;
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
