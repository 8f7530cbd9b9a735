/** A real S3 server of this machine, versitygw, on a folder that is deleted with it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findFreePort } from './free-port.ts';
import { versitygwPath } from './requirements.ts';

export interface S3Server {
  endpoint: string;
  region: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
  /** An empty bucket. */
  makeBucket: () => Promise<string>;
  stop: () => Promise<void>;
}

const CREDENTIALS = { accessKeyId: 'tester', secretAccessKey: 'not-a-secret-of-anybody' };
const REGION = 'us-east-1';

export async function startS3Server(): Promise<S3Server> {
  const root = await mkdtemp(join(tmpdir(), 'resnet18-edge-s3-'));
  for (const folder of ['data', 'meta']) await mkdir(join(root, folder));
  const port = await findFreePort();
  const child = spawn(
    versitygwPath(),
    [
      '--port',
      `127.0.0.1:${port}`,
      '--region',
      REGION,
      '--quiet',
      'posix',
      '--sidecar',
      join(root, 'meta'),
      join(root, 'data'),
    ],
    {
      env: {
        PATH: process.env['PATH'],
        ROOT_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
        ROOT_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (output += data.toString()));
  const endpoint = `http://127.0.0.1:${port}`;
  for (;;) {
    if (child.exitCode !== null) throw new Error(`versitygw ended: ${output}`);
    const isUp = await fetch(endpoint).then(
      () => true,
      () => false,
    );
    if (isUp) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  let buckets = 0;
  return {
    endpoint,
    region: REGION,
    credentials: CREDENTIALS,
    async makeBucket() {
      // A folder of the data is a bucket.
      const name = `bucket-${(buckets += 1)}`;
      await mkdir(join(root, 'data', name));
      return name;
    },
    async stop() {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
      await rm(root, { recursive: true, force: true });
    },
  };
}
