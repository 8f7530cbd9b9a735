/** `npm run release` as a person uses it, on a folder: what it changes, what it says, and what it refuses. */
import { appendFile, cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ModelManifest } from '../../../shared/manifest.ts';
import { readModel } from '../../../train/convert/read-model.ts';
import { release, spawnRelease } from '../../support/release-command.ts';
import { makeSharedFolder, makeTemporaryFolder } from '../../support/temporary-folder.ts';
import { tinyArchitecture, writeTinyModel } from '../../support/tiny-model.ts';

let root: string;
let first: ModelManifest;
let second: ModelManifest;
let store: string;

beforeAll(async () => {
  root = await makeSharedFolder();
  first = await writeTinyModel(join(root, 'first'), { name: 'tiny.first', seed: 1 });
  second = await writeTinyModel(join(root, 'second'), { name: 'tiny.second', seed: 2 });
});

beforeEach(async () => {
  store = join(await makeTemporaryFolder(), 'store');
});

const publish = (name: string) => release(['publish', join(root, name), '--store', store]);
const promote = (id: string, ...more: string[]) => release(['promote', id, '--store', store, ...more]);
const rollback = () => release(['rollback', '--store', store]);

async function readPointer(): Promise<{ champion: string | null; seq: number; previous: (string | null)[] }> {
  return JSON.parse(await readFile(join(store, 'channels/resnet18.json'), 'utf8'));
}

it('publishes a model folder as it is, and says how it goes on', async () => {
  const { status, printed, reported } = await publish('first');
  expect(status).toBe(0);
  expect(printed).toContain(`tiny.first is in ${store}`);
  expect(printed).toContain(`model ${first.modelId}`);
  expect(printed).toContain(`npm run release -- promote ${first.modelId.slice(0, 8)} --store '${store}'`);
  expect(reported.split('\n').map((line) => line.trim().split(/\s+/).at(-1))).toEqual([
    ...first.files.map(({ path }) => path),
    'manifest.json',
  ]);
  const published = join(store, first.modelId);
  for (const file of await readdir(join(root, 'first'))) {
    expect(await readFile(join(published, file)), file).toEqual(await readFile(join(root, 'first', file)));
  }
  expect((await readModel(published)).manifest).toEqual(first);
});

it('publishes a model again without writing it again, and does not copy what the manifest does not list', async () => {
  await writeFile(join(root, 'first/notes.txt'), 'mine');
  await publish('first');
  await rm(join(root, 'first/notes.txt'));
  const file = join(store, first.modelId, 'model.json');
  const { mtimeMs } = await stat(file);
  const { status, printed } = await publish('first');
  expect(status).toBe(0);
  expect(printed).toContain('tiny.first is already in');
  expect((await stat(file)).mtimeMs).toBe(mtimeMs);
  expect(await readdir(join(store, first.modelId))).not.toContain('notes.txt');
});

it('goes on with a publish that was interrupted; until then the model cannot be promoted', async () => {
  await publish('first');
  await rm(join(store, first.modelId, 'manifest.json'));
  await rm(join(store, first.modelId, first.files[1]?.path ?? ''));
  expect(await promote(first.modelId)).toMatchObject({
    status: 1,
    reported: expect.stringMatching(/^store\/unknown-model: model \w+ was not published completely/),
  });
  const { status, reported } = await publish('first');
  expect(status).toBe(0);
  expect(reported).toContain('model.json (present)');
  expect((await promote(first.modelId)).status).toBe(0);
});

it('refuses to publish a model folder that was changed, and publishes nothing of it', async () => {
  const damaged = join(await makeTemporaryFolder(), 'damaged');
  await cp(join(root, 'first'), damaged, { recursive: true });
  const shard = join(damaged, first.files[1]?.path ?? '');
  const bytes = await readFile(shard);
  bytes[100] = (bytes[100] ?? 0) ^ 1;
  await writeFile(shard, bytes);
  const { status, reported } = await release(['publish', damaged, '--store', store]);
  expect(status).toBe(1);
  expect(reported).toMatch(/^model\/damaged: .*has the sha256 \w+, the manifest says/);
  await expect(stat(store)).rejects.toMatchObject({ code: 'ENOENT' });
});

it.each([
  ['model/missing', 'manifest.json', undefined],
  ['model/version', 'manifest.json', '{"formatVersion": 99}'],
  ['model/damaged', 'model.json', '{}'],
  ['model/damaged', 'evaluation.json', '{}'],
])('refuses with %s a model folder whose %s is %j', async (code, file, content) => {
  const folder = join(await makeTemporaryFolder(), 'model');
  await cp(join(root, 'first'), folder, { recursive: true });
  await (content === undefined ? rm(join(folder, file)) : writeFile(join(folder, file), content));
  expect(await release(['publish', folder, '--store', store])).toMatchObject({
    status: 1,
    reported: expect.stringMatching(new RegExp(`^${code}: `)),
  });
});

it('refuses to publish over a file with another content, and leaves it', async () => {
  await mkdir(join(store, first.modelId), { recursive: true });
  await writeFile(join(store, first.modelId, 'model.json'), 'somebody else');
  const { status, reported } = await publish('first');
  expect(status).toBe(1);
  expect(reported).toMatch(/^store\/occupied: .*model\.json is in /m);
  expect(await readFile(join(store, first.modelId, 'model.json'), 'utf8')).toBe('somebody else');
});

it('promotes by the first 8 digits, and tells what is replaced', async () => {
  await publish('first');
  await publish('second');
  expect(await promote(first.modelId.slice(0, 8))).toMatchObject({
    status: 0,
    printed: [
      `tiny.first (${first.modelId.slice(0, 8)}) is the champion of resnet18 now: change 1\nit replaces the shipped model`,
      'nobody has measured it: npm run model -- evaluate, then publish it again',
    ].join('\n'),
  });
  const { printed } = await promote(second.modelId, '--json');
  expect(JSON.parse(printed)).toMatchObject({
    seq: 2,
    champion: second.modelId,
    replaced: first.modelId,
    name: 'tiny.second',
    changed: true,
  });
  expect(await readPointer()).toMatchObject({
    champion: second.modelId,
    seq: 2,
    previous: [first.modelId, null],
  });
});

it('says that a model is the champion already, and changes nothing', async () => {
  await publish('first');
  await promote(first.modelId);
  const { status, printed } = await promote(first.modelId);
  expect(status).toBe(0);
  expect(printed).toContain('is the champion of resnet18 already; nothing was changed');
  expect((await readPointer()).seq).toBe(1);
});

it('refuses to promote what is not published, is cut off, or fits several models', async () => {
  await publish('first');
  expect((await promote('0123456789')).reported).toMatch(/^store\/unknown-model: model 0123456789 is not there/);
  for (const id of ['1234567', 'not-an-id', `${first.modelId}0`]) {
    const { status, reported } = await promote(id);
    expect([status, reported.split(':')[0]]).toEqual([2, 'cli/usage']);
  }
  const alike = `${first.modelId.slice(0, 10)}${'0'.repeat(54)}`;
  await cp(join(store, first.modelId), join(store, alike), { recursive: true });
  expect((await promote(first.modelId.slice(0, 10))).reported).toMatch(/^store\/ambiguous-id: 2 models begin with/);
  expect((await promote(alike)).reported).toMatch(/^model\/damaged: .*manifest\.json is about model/);
  await appendFile(join(store, first.modelId, 'model.json'), ' ');
  expect((await promote(first.modelId)).reported).toMatch(/^store\/damaged: .*model\.json .* bytes are expected/);
  await expect(readPointer()).rejects.toMatchObject({ code: 'ENOENT' });
});

it('rolls back step by step, to the shipped model at the end, and no further', async () => {
  await publish('first');
  await publish('second');
  await promote(first.modelId);
  await promote(second.modelId);
  expect((await rollback()).printed).toContain(`model ${first.modelId.slice(0, 8)} is the champion of resnet18 again`);
  expect((await rollback()).printed).toContain('the shipped model is the champion of resnet18 again');
  expect(await rollback()).toMatchObject({
    status: 1,
    reported: expect.stringMatching(/^store\/nothing-to-roll-back: /),
  });
  expect(await readPointer()).toMatchObject({ champion: null, seq: 4, previous: [] });
});

it('does not roll back to a model that is not in the store any more', async () => {
  await publish('first');
  await publish('second');
  await promote(first.modelId);
  await promote(second.modelId);
  await rm(join(store, first.modelId), { recursive: true });
  expect(await rollback()).toMatchObject({ status: 1, reported: expect.stringMatching(/^store\/unknown-model: /) });
  expect((await readPointer()).champion).toBe(second.modelId);
});

it('prints the history as a table, newest first', async () => {
  await publish('first');
  await publish('second');
  await promote(first.modelId);
  await promote(second.modelId);
  await rollback();
  const [a, b] = [`${first.modelId.slice(0, 8)} tiny.first`, `${second.modelId.slice(0, 8)} tiny.second`];
  const { printed } = await release(['history', '--store', store]);
  const rows = printed
    .split('\n')
    .map((line) => line.replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, 'TIME').split(/ {2,}/));
  expect(rows).toEqual([
    ['seq', 'time (UTC)', 'action', 'champion', 'replaced'],
    ['3', 'TIME', 'rollback', a, b],
    ['2', 'TIME', 'promote', b, a],
    ['1', 'TIME', 'promote', a, 'shipped'],
  ]);
  const { printed: json } = await release(['history', '--store', store, '--json']);
  expect(JSON.parse(json)).toHaveLength(3);
  expect((await release(['history', '--store', store, '--channel', 'other'])).printed).toContain('was never changed');
});

it('keeps a channel of another name apart', async () => {
  await publish('first');
  expect((await promote(first.modelId, '--channel', 'candidate')).status).toBe(0);
  expect(await readdir(join(store, 'channels'))).toEqual(['candidate.json']);
});

describe('the command line', () => {
  it('explains itself, and each command', async () => {
    const { status, printed } = await release(['--help']);
    expect(status).toBe(0);
    for (const command of ['publish', 'promote', 'verify', 'rollback', 'history']) {
      expect(printed).toMatch(new RegExp(`^  ${command} +\\w`, 'm'));
      const help = await release([command, '--help']);
      expect(help.status).toBe(0);
      expect(help.printed).toMatch(new RegExp(`^npm run release -- ${command} `));
    }
    expect(await release([])).toMatchObject({ status: 2, reported: expect.stringMatching(/^a command is missing/) });
  });

  it.each([
    [['promot', 'x'], 'there is no command "promot"'],
    [['promote'], 'cli/usage: ID is missing'],
    [['promote', '01234567', 'b'], 'cli/usage: "b" is too much'],
    [['promote', '01234567', '--chanel', 'b'], "cli/usage: Unknown option '--chanel'"],
    [['history', '--channel', '../x'], 'cli/usage: --channel ../x cannot be a channel'],
    [['history', '--store', ''], 'cli/usage: --store is empty'],
    [['history', '--store', 'gs://x'], 'cli/usage: --store gs://x is no store'],
    [['history', '--store', 's3://'], 'cli/usage'],
    [['history', '--store', 's3://x?endpoint=ftp://h'], 'cli/usage: endpoint ftp://h is not an address'],
    [['history', '--store', 's3://x?endpont=https://h'], 'cli/usage: --store has a parameter "endpont"'],
    [['history', '--store', 's3://x'], 'cli/usage: nothing says where the bucket is'],
    [['history', '--store', 'r2-local:'], 'cli/usage: --store r2-local: is not r2-local:BINDING'],
    [['verify', 'localhost:1'], 'cli/usage: "localhost:1" is not the address of a server'],
    [['verify', 'http://localhost:1', '--wait', 'x'], 'cli/usage: --wait x is not a number'],
  ])('refuses %j', async (args, message) => {
    const { status, printed, reported } = await release(args);
    expect(status).toBe(2);
    expect(printed).toBe('');
    expect(reported).toContain(message);
  });

  it.each([
    [{}, 'an s3:// store needs an access key'],
    [{ R2_ACCESS_KEY_ID: 'a' }, 'R2_SECRET_ACCESS_KEY is not set'],
    [{ AWS_SECRET_ACCESS_KEY: 'a' }, 'AWS_ACCESS_KEY_ID is not set'],
  ])('asks for the credentials that %j lacks', async (environment, message) => {
    const { status, reported } = await release(
      ['history', '--store', 's3://x?endpoint=http://127.0.0.1:9'],
      environment,
    );
    expect(status).toBe(1);
    expect(reported).toContain(`store/credentials: ${message}`);
  });

  it('says where there is no store', async () => {
    expect(await rollback()).toMatchObject({ status: 1, reported: expect.stringMatching(/^store\/missing: /) });
    expect(await release(['history', '--store', 'r2-local:NONE'])).toMatchObject({
      status: 1,
      reported: expect.stringMatching(/^store\/missing: wrangler\.toml binds no bucket as NONE/),
    });
  });

  it('says that a file cannot be a store', async () => {
    await writeFile(store, 'a file');
    for (const { status, reported } of [await publish('first'), await release(['history', '--store', store])]) {
      expect(status).toBe(1);
      expect(reported).toMatch(/^store\/missing: .* is a file, and a store is a folder/);
    }
  });

  it('ends as a process with the status, the result on standard output and the error on standard error', async () => {
    const published = await spawnRelease(['publish', join(root, 'first'), '--store', store, '--json']);
    expect(published.status).toBe(0);
    expect(JSON.parse(published.printed)).toMatchObject({ modelId: first.modelId, files: { written: 3 } });
    const refused = await spawnRelease(['promote', '0123456789', '--store', store]);
    expect(refused).toMatchObject({ status: 1, printed: '', reported: expect.stringMatching(/^store\/unknown-model/) });
  });
});

it('promotes no model that is too large for a Worker where Workers serve, and says what it takes', async () => {
  const architecture = tinyArchitecture({ widths: [4, 700], inputShape: [32, 32, 3] });
  const folder = join(await makeTemporaryFolder(), 'large');
  const { modelId } = await writeTinyModel(folder, { name: 'tiny.large', architecture, weightType: 'uint8' });
  await release(['publish', folder, '--store', store]);
  const refused = await promote(modelId, '--for', 'worker');
  expect(refused.status).toBe(1);
  expect(refused.reported).toMatch(
    /^model\/too-large: tiny\.large \(\w{8}\) takes (6[5-9]|[7-9]\d)\.\d MB of the engine's memory, at most 64\.0 MB are expected here/,
  );
  await expect(readPointer()).rejects.toThrow('ENOENT');
  expect((await promote(modelId, '--for', 'browser')).reported).toMatch(
    /^cli\/usage: --for browser is not known; possible: worker, node/,
  );
  // A folder is served by Node, where there is room.
  expect((await promote(modelId)).status).toBe(0);
});

describe('list', () => {
  it('shows what is published, what was measured of it, and which model answers', async () => {
    await mkdir(store);
    expect((await release(['list', '--store', store])).printed).toBe(`nothing is published in the store ${store}`);
    await publish('first');
    await publish('second');
    await promote(second.modelId);
    const { printed } = await release(['list', '--store', store]);
    const rows = printed.split('\n').map((row) => row.trim().split(/ {2,}/));
    expect(rows[0]).toEqual(['model', 'name', 'MB', 'accuracy']);
    const [one, two] = [first, second].map(({ modelId, name, files }) => [
      modelId.slice(0, 8),
      name,
      (files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) / 1e6).toFixed(2),
      'not measured',
    ]);
    expect(rows).toHaveLength(3);
    expect(rows).toContainEqual(one);
    expect(rows).toContainEqual([...(two ?? []), 'champion of resnet18']);
    const { printed: json } = await release(['list', '--store', store, '--json']);
    for (const { modelId, name } of [first, second]) {
      expect(JSON.parse(json)).toContainEqual(
        expect.objectContaining({ modelId, name, isChampion: modelId === second.modelId }),
      );
    }
  });
});

describe('promote', () => {
  it('goes straight back to the shipped model', async () => {
    await publish('first');
    await promote(first.modelId);
    const { status, printed } = await promote('shipped');
    expect([status, printed]).toEqual([
      0,
      `the shipped model is the champion of resnet18 now: change 2\nit replaces model ${first.modelId.slice(0, 8)}`,
    ]);
    expect(await readPointer()).toMatchObject({ champion: null, seq: 2, previous: [first.modelId, null] });
    expect((await promote('shipped')).printed).toBe(
      'the shipped model is the champion of resnet18 already; nothing was changed',
    );
  });

  it('says when nobody has measured what it promotes', async () => {
    await publish('first');
    const { status, printed } = await promote(first.modelId);
    expect(status).toBe(0);
    expect(printed).toContain('nobody has measured it: npm run model -- evaluate');
  });

  it('reads what it promotes: one changed bit in the weights, and nothing is changed', async () => {
    await publish('first');
    const shard = first.files.find(({ path }) => path.endsWith('.bin'))?.path ?? '';
    const path = join(store, first.modelId, shard);
    const bytes = await readFile(path);
    bytes.writeUInt8(bytes.readUInt8(9) ^ 4, 9);
    await writeFile(path, bytes);
    const { status, reported } = await promote(first.modelId);
    expect([status, reported]).toEqual([1, expect.stringMatching(/^model\/damaged: .*sha256/)]);
    await expect(readPointer()).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
