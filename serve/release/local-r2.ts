/**
 * The buckets of "npm run dev": R2 as wrangler has it on this machine, in workerd, in `.wrangler/state`. What is written
 * here is seen at once by a Worker that runs in `wrangler dev`.
 */
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { ProductError } from '../../shared/errors.ts';
import type { ModelStore } from '../store/model-store.ts';
import { openR2Store, type Bucket } from '../store/r2-store.ts';
import { usageError } from './command.ts';

const DEFAULT_CONFIG = 'wrangler.toml';
const PARAMETERS = ['config', 'state'];

/** `r2-local:BINDING[?config=FILE&state=FOLDER]`. Errors: 'cli/usage', 'store/missing'. */
export async function openLocalR2(address: string): Promise<ModelStore> {
  const [, binding = '', query = ''] = /^r2-local:([^?]*)(?:\?(.*))?$/.exec(address) ?? [];
  // A plus in the name of a folder is no space.
  const parameters = new URLSearchParams(query.replaceAll('+', '%2B'));
  const unknown = [...parameters.keys()].find((name) => !PARAMETERS.includes(name));
  if (binding === '' || unknown !== undefined) {
    throw usageError(`--store ${address} is not r2-local:BINDING[?config=FILE&state=FOLDER]`);
  }
  const configPath = parameters.get('config') ?? DEFAULT_CONFIG;
  if (!existsSync(configPath)) {
    throw new ProductError('store/missing', `there is no ${configPath}, which binds ${binding}; correct ?config=`);
  }
  // Otherwise wrangler asks Cloudflare for the properties of a request that is never made.
  process.env['CLOUDFLARE_CF_FETCH_ENABLED'] = 'false';
  process.env['WRANGLER_SEND_METRICS'] = 'false';
  const { getPlatformProxy, unstable_readConfig: readConfig } = await import('wrangler');
  const buckets = listBuckets(() => readConfig({ config: configPath }), configPath);
  if (!buckets.includes(binding)) {
    throw new ProductError(
      'store/missing',
      `${configPath} binds no bucket as ${binding}; it binds ${buckets.length === 0 ? 'none' : buckets.join(', ')}: add one to [[r2_buckets]], or correct --store`,
    );
  }
  // As of wrangler dev: beside its configuration, wherever the command is given.
  const state = parameters.get('state') ?? join(dirname(configPath), '.wrangler/state');
  const platform = await getPlatformProxy({
    configPath,
    // wrangler dev adds the version of its format itself.
    persist: { path: resolve(state, 'v3') },
    remoteBindings: false,
  });
  const bucket = platform.env[binding] as Bucket;
  return openR2Store({ name: `r2-local:${binding}`, bucket, close: () => platform.dispose() });
}

function listBuckets(read: () => { r2_buckets: { binding: string }[] }, configPath: string): string[] {
  try {
    return read().r2_buckets.map(({ binding }) => binding);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.trim() : String(cause);
    throw new ProductError('store/unavailable', `${configPath} cannot be read: ${reason}; correct the file`, { cause });
  }
}
