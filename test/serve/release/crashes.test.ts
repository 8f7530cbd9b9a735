/** A folder store under what may happen to processes: killed at any moment, many at once, locks left over. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, it } from 'vitest';
import { openFolderStore } from '../../../serve/node/folder-store.ts';
import { readChannel, readHistory } from '../../../serve/store/channel-pointer.ts';
import { createRandom } from '../../../train/random.ts';
import { release, spawnRelease } from '../../support/release-command.ts';
import { makeSharedFolder, makeTemporaryFolder } from '../../support/temporary-folder.ts';
import { writeTinyModel } from '../../support/tiny-model.ts';

const KILLS = 30;
const MODELS = 4;
const FOREVER = fileURLToPath(new URL('../../support/release-forever.ts', import.meta.url));

let root: string;
const ids: string[] = [];

beforeAll(async () => {
  root = await makeSharedFolder();
  for (let seed = 1; seed <= MODELS; seed++) {
    ids.push((await writeTinyModel(join(root, String(seed)), { seed })).modelId);
  }
});

async function publishAll(): Promise<string> {
  const store = await makeTemporaryFolder();
  for (let seed = 1; seed <= MODELS; seed++) {
    const { status } = await release(['publish', join(root, String(seed)), '--store', store]);
    expect(status).toBe(0);
  }
  return store;
}

/** Every change from 1 to the last, each from where the one before it ended. */
async function expectCompleteHistory(folder: string): Promise<number> {
  const store = openFolderStore(folder);
  const changes = await readHistory(store, 'resnet18');
  const { champion, seq } = (await readChannel(store, 'resnet18')).channel;
  expect(changes.map((change) => change.seq)).toEqual(Array.from({ length: seq }, (_, index) => index + 1));
  for (const [index, { replaced }] of changes.entries()) {
    expect(replaced).toBe(index === 0 ? null : changes[index - 1]?.champion);
  }
  expect(changes.at(-1)?.champion ?? null).toBe(champion);
  return seq;
}

it(`loses nothing in ${KILLS} kills of a process that promotes without end`, { timeout: 300_000 }, async () => {
  const folder = await publishAll();
  const [first = '', second = '', third = ''] = ids;
  const random = createRandom(7);
  let seq = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', FOREVER, folder, first, second], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let reported = '';
    child.stderr.on('data', (data: Buffer) => (reported += data.toString()));
    const ended = once(child, 'close');
    await Promise.race([once(child.stdout, 'data'), ended]);
    await new Promise((resolve) => setTimeout(resolve, random.next() * 60));
    child.kill('SIGKILL');
    const [, signal] = (await ended) as [number | null, string | null];
    expect([signal, reported]).toEqual(['SIGKILL', '']);

    const { channel } = await readChannel(openFolderStore(folder), 'resnet18');
    expect([first, second]).toContain(channel.champion);
    expect(channel.seq).toBeGreaterThan(seq);
    expect((await release(['promote', third, '--store', folder])).reported).toBe('');
    seq = await expectCompleteHistory(folder);
    // Also as files: nothing is made up by the reader after a change that went well.
    expect(await readdir(join(folder, 'history/resnet18'))).toHaveLength(seq);
  }
});

it(
  'lets several processes promote at once: each change is made once, or refused by name',
  { timeout: 120_000 },
  async () => {
    const folder = await publishAll();
    const rounds = [1, 2, 3];
    let made = 0;
    for (const _ of rounds) {
      const results = await Promise.all(ids.map((id) => spawnRelease(['promote', id, '--store', folder])));
      made += results.filter(({ status, printed }) => status === 0 && !printed.includes('nothing was changed')).length;
      for (const { reported } of results.filter(({ status }) => status !== 0)) {
        expect(reported).toMatch(/^store\/changed: somebody else changed channel resnet18 meanwhile/);
      }
      expect(results.some(({ status }) => status === 0)).toBe(true);
    }
    expect(await expectCompleteHistory(folder)).toBe(made);
  },
);

it('is not held up by the lock file of a process that is gone, and removes what it left half written', async () => {
  const folder = await publishAll();
  const incoming = join(folder, '.incoming');
  await mkdir(incoming, { recursive: true });
  for (const name of ['old', 'new']) await writeFile(join(incoming, name), 'half of a');
  await utimes(join(incoming, 'old'), 0, 0);
  await writeFile(join(folder, '.lock'), '');
  expect((await release(['promote', ids[0] ?? '', '--store', folder])).status).toBe(0);
  expect(await readdir(incoming)).toEqual(['new']);
});

it('says what to do about a lock file that is none', async () => {
  const folder = await publishAll();
  await writeFile(join(folder, '.lock'), 'not a lock '.repeat(100));
  expect(await release(['promote', ids[0] ?? '', '--store', folder])).toMatchObject({
    status: 1,
    reported: expect.stringMatching(/^store\/unavailable: .*\.lock in it is damaged, remove it/),
  });
});
