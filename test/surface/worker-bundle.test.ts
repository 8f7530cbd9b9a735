/** What is uploaded to Cloudflare: nothing of the trainer, and not more than it must be. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { beforeAll, expect, test } from 'vitest';
import { makeSharedFolder } from '../support/temporary-folder.ts';

/** The bar is 450 kB. */
const BUDGET_BYTES = 450_000;

let folder: string;
let sources: string[];

beforeAll(async () => {
  folder = await makeSharedFolder();
  const metafile = join(folder, 'meta.json');
  await promisify(execFile)(
    process.execPath,
    [
      'node_modules/wrangler/bin/wrangler.js',
      'deploy',
      '--dry-run',
      '--outdir',
      join(folder, 'out'),
      '--metafile',
      metafile,
    ],
    { env: { ...process.env, WRANGLER_SEND_METRICS: 'false' } },
  );
  const { inputs } = JSON.parse(readFileSync(metafile, 'utf8')) as { inputs: Record<string, unknown> };
  // Modules of Node that packages name and the bundle leaves out are listed as "(disabled):fs".
  sources = Object.keys(inputs).filter((path) => !path.includes('node_modules') && !path.startsWith('(disabled):'));
});

test('the Worker is made of serve/ and shared/ only', () => {
  const folders = new Set(sources.map((path) => path.split('/')[0]));
  expect(folders).toEqual(new Set(['serve', 'shared']));
  expect(sources).toContain('serve/app.ts');
  expect(sources.filter((path) => path.startsWith('serve/node'))).toEqual([]);
});

test('the Worker is within its budget', () => {
  const files = readdirSync(join(folder, 'out')).filter((name) => /\.(js|wasm)$/.test(name));
  expect(files.filter((name) => name.endsWith('.wasm')).length).toBe(4);
  const sizes = files.map((name) => gzipSync(readFileSync(join(folder, 'out', name)), { level: 9 }).length);
  const totalBytes = sizes.reduce((a, b) => a + b, 0);
  console.log(
    `Worker bundle, gzip: ${totalBytes} bytes (${files.map((name, index) => `${name}: ${sizes[index]}`).join(', ')})`,
  );
  expect(totalBytes).toBeLessThanOrEqual(BUDGET_BYTES);
});
