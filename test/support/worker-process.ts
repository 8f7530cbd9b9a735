/** The Worker as `npm run dev` runs it: wrangler and workerd in processes of their own, with a local bucket. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { getPlatformProxy } from 'wrangler';
import { findFreePort } from './free-port.ts';

const WRANGLER = 'node_modules/wrangler/bin/wrangler.js';

export interface WorkerProcess {
  url: string;
  /** Port of the inspector, which speaks the DevTools protocol. */
  inspectorPort: number;
  /** Of wrangler; workerd is among its descendants. */
  pid: number;
  /** All that it has said so far. */
  readonly output: string;
  stop(): Promise<void>;
}

export interface WorkerOptions {
  /** Folder of the local bucket, so that nothing of a developer's own is read or written. */
  state: string;
  /** Instead of, or beside, those of the configuration. */
  vars?: Record<string, string>;
  /** Default: the one that is deployed. */
  config?: string;
  /** The Worker's source. Default: the configuration's. */
  entry?: string;
  /** Further flags of `wrangler dev`. */
  more?: readonly string[];
}

export async function startWorker(options: WorkerOptions): Promise<WorkerProcess> {
  const { state, vars = {}, config = 'wrangler.toml', entry, more = [] } = options;
  const port = await findFreePort();
  const inspectorPort = await findFreePort();
  const flags = ['--port', String(port), '--inspector-port', String(inspectorPort), '--persist-to', state];
  const variables = Object.entries(vars).flatMap(([name, value]) => ['--var', `${name}:${value}`]);
  const named = entry === undefined ? [] : [entry];
  const child = spawn(
    process.execPath,
    [WRANGLER, 'dev', ...named, '--config', config, ...flags, ...variables, ...more],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, CI: 'true', CLOUDFLARE_CF_FETCH_ENABLED: 'false', WRANGLER_SEND_METRICS: 'false' },
    },
  );
  const ended = once(child, 'close');
  let output = '';
  await new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data: Buffer) => {
        output += data.toString();
        if (output.includes(`:${port}`) && /Ready on/.test(output)) resolve();
      });
    }
    void ended.then(() => reject(new Error(`wrangler ended: ${output}`)));
  });
  const worker: WorkerProcess = {
    url: `http://127.0.0.1:${port}`,
    inspectorPort,
    pid: child.pid ?? 0,
    get output() {
      return output;
    },
    async stop() {
      child.kill('SIGTERM');
      await ended;
    },
  };
  return worker;
}

export interface LocalBucket {
  put(path: string, bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  close(): Promise<void>;
}

/** The bucket of a Worker that was started with the same `state`; written from outside while it runs. */
export async function openBucket({ state }: { state: string }): Promise<LocalBucket> {
  const proxy = await getPlatformProxy<{ MODELS: { put: (path: string, bytes: ArrayBuffer) => Promise<unknown> } }>({
    configPath: 'wrangler.toml',
    // Where wrangler itself puts the state of `--persist-to`.
    persist: { path: join(state, 'v3') },
  });
  return {
    async put(path, bytes) {
      await proxy.env.MODELS.put(path, bytes.buffer);
    },
    close: () => proxy.dispose(),
  };
}
