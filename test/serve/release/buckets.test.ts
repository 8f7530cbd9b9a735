/** A release day in a bucket: R2 of this machine, and a real S3 server, through the command line alone. */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelManifest } from '../../../shared/manifest.ts';
import { release, spawnRelease } from '../../support/release-command.ts';
import { describeWithVersitygw } from '../../support/requirements.ts';
import { startS3Server, type S3Server } from '../../support/s3-server.ts';
import { makeSharedFolder } from '../../support/temporary-folder.ts';
import { writeTinyModel } from '../../support/tiny-model.ts';

let root: string;
let first: ModelManifest;
let second: ModelManifest;

beforeAll(async () => {
  root = await makeSharedFolder();
  first = await writeTinyModel(join(root, 'first'), { name: 'tiny.first', seed: 1 });
  second = await writeTinyModel(join(root, 'second'), { name: 'tiny.second', seed: 2 });
});

/** Publish two models, promote both, roll back; the changes that are remembered. */
async function spendReleaseDay(store: string, environment: Record<string, string> = {}) {
  const run = async (...args: string[]): Promise<string> => {
    const { status, printed, reported } = await release([...args, '--store', store], environment);
    if (status !== 0) throw new Error(`${args.join(' ')}: ${reported}`);
    return printed;
  };
  await run('publish', join(root, 'first'));
  await run('publish', join(root, 'second'));
  const again = await run('publish', join(root, 'first'));
  await run('promote', first.modelId.slice(0, 8));
  await run('promote', second.modelId);
  await run('rollback');
  const changes = JSON.parse(await run('history', '--json')) as { seq: number; champion: string }[];
  return { again, changes: changes.map(({ seq, champion }) => [seq, champion]) };
}

function expectedDay() {
  return {
    again: expect.stringContaining('tiny.first is already in'),
    changes: [
      [3, first.modelId],
      [2, second.modelId],
      [1, first.modelId],
    ],
  };
}

describe('in local R2', () => {
  let store: string;

  beforeAll(async () => {
    const config = join(root, 'wrangler.toml');
    await writeFile(
      config,
      'name = "models"\ncompatibility_date = "2026-10-01"\n[[r2_buckets]]\nbinding = "MODELS"\nbucket_name = "models"\n',
    );
    store = `r2-local:MODELS?config=${config}&state=${join(root, 'state')}`;
  });

  it('publishes, promotes, rolls back and remembers', { timeout: 120_000 }, async () => {
    expect(await spendReleaseDay(store)).toEqual(expectedDay());
  });

  it(
    'lets two processes promote at once: each change is made once, or refused by name',
    { timeout: 120_000 },
    async () => {
      const before = JSON.parse((await release(['history', '--store', store, '--json'])).printed) as unknown[];
      const results = await Promise.all(
        [first, second].map(({ modelId }) => spawnRelease(['promote', modelId, '--store', store, '--json'])),
      );
      const refused = results.filter(({ status }) => status !== 0);
      for (const { reported } of refused) expect(reported).toContain('store/changed: ');
      const made = results.filter(({ status, printed }) => status === 0 && printed.includes('"changed":true'));
      const after = JSON.parse((await release(['history', '--store', store, '--json'])).printed) as unknown[];
      expect(after).toHaveLength(before.length + made.length);
      expect(results.some(({ status }) => status === 0)).toBe(true);
    },
  );

  it('names the buckets that there are', async () => {
    const { status, reported } = await release(['history', '--store', store.replace('MODELS', 'MODEL')]);
    expect(status).toBe(1);
    expect(reported).toMatch(/^store\/missing: .* binds no bucket as MODEL; it binds MODELS: /);
  });

  it('says in one line that a configuration cannot be read', async () => {
    const config = join(root, 'damaged.toml');
    await writeFile(config, '[[r2_buckets]\n');
    const { status, reported } = await release(['history', '--store', `r2-local:MODELS?config=${config}`]);
    expect(status).toBe(1);
    expect(reported).toMatch(/^store\/unavailable: .*damaged\.toml cannot be read: Invalid TOML/);
  });

  it('is in the folder that is named, also when there is a plus in it', { timeout: 120_000 }, async () => {
    const plus = store.replace(/state=.*/, `state=${join(root, 'a+b')}`);
    expect((await release(['publish', join(root, 'first'), '--store', plus])).status).toBe(0);
    expect(existsSync(join(root, 'a+b/v3/r2'))).toBe(true);
  });
});

describeWithVersitygw('behind S3', () => {
  let server: S3Server;

  beforeAll(async () => {
    server = await startS3Server();
  });
  afterAll(() => server.stop());

  it('publishes, promotes, rolls back and remembers', async () => {
    const bucket = await server.makeBucket();
    const store = `s3://${bucket}/models?endpoint=${server.endpoint}&region=${server.region}`;
    const day = await spendReleaseDay(store, {
      R2_ACCESS_KEY_ID: server.credentials.accessKeyId,
      R2_SECRET_ACCESS_KEY: server.credentials.secretAccessKey,
    });
    expect(day).toEqual(expectedDay());
  });

  it('takes the variables of AWS too', async () => {
    const bucket = await server.makeBucket();
    const { status, printed } = await release(['history', '--store', `s3://${bucket}`], {
      AWS_ACCESS_KEY_ID: server.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: server.credentials.secretAccessKey,
      AWS_ENDPOINT_URL: server.endpoint,
      AWS_REGION: server.region,
    });
    expect([status, printed]).toEqual([0, 'channel resnet18 was never changed: it serves the shipped model']);
  });
});
