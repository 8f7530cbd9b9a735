/**
 * The package as somebody has it who installed it: what `npm pack` makes, unpacked into a folder of its own, beside the
 * packages that it names as dependencies and no others. Needs no network.
 */
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';

const REPOSITORY = resolve(import.meta.dirname, '../..');
const run = promisify(execFile);

/** Install it into `folder`, an empty project of JavaScript modules; with `others` of this project's own packages. */
export async function installPackage(folder: string, others: readonly string[] = []): Promise<void> {
  await run('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: REPOSITORY });
  const [archive = ''] = await readdir(folder);
  const modules = join(folder, 'node_modules');
  const home = join(modules, 'resnet18-edge');
  await mkdir(home, { recursive: true });
  await run('tar', ['-xzf', join(folder, archive), '--strip-components', '1', '-C', home]);
  const { dependencies } = JSON.parse(await readFile(join(home, 'package.json'), 'utf8')) as { dependencies: object };
  for (const name of [...Object.keys(dependencies), ...others]) {
    await mkdir(dirname(join(modules, name)), { recursive: true });
    await symlink(join(REPOSITORY, 'node_modules', name), join(modules, name));
  }
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
}

/** The lines of the TypeScript example of an entry point's page. */
export async function readExample(page: string): Promise<string> {
  const [, example] = /^```ts\n(.*?)^```$/ms.exec(await readFile(join(REPOSITORY, page), 'utf8')) ?? [];
  if (example === undefined) throw new Error(`${page} has no example`);
  return example;
}

export interface CommandResult {
  printed: string;
  reported: string;
}

/** Throws with all that it said unless it ends with 0. */
export async function runIn(folder: string, command: string, args: readonly string[]): Promise<CommandResult> {
  const { stdout, stderr } = await run(command, args, { cwd: folder, maxBuffer: 64 * 1024 * 1024 });
  return { printed: stdout, reported: stderr };
}
