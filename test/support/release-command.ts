/** `npm run release` for tests: in this process, or as a process of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { runReleaseCommand } from '../../serve/release/commands.ts';

export interface CommandResult {
  status: number;
  /** Standard output and standard error. */
  printed: string;
  reported: string;
}

export async function release(
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>> = {},
): Promise<CommandResult> {
  const printed: string[] = [];
  const reported: string[] = [];
  const status = await runReleaseCommand(args, {
    print: (text) => printed.push(text),
    report: (line) => reported.push(line),
    environment,
  });
  return { status, printed: printed.join('\n'), reported: reported.join('\n') };
}

const CLI = fileURLToPath(new URL('../../serve/release/cli.ts', import.meta.url));

/** With the flags of the npm script. */
export async function spawnRelease(args: readonly string[]): Promise<CommandResult> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', CLI, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const result = { printed: '', reported: '' };
  child.stdout.on('data', (data: Buffer) => (result.printed += data.toString()));
  child.stderr.on('data', (data: Buffer) => (result.reported += data.toString()));
  const [status] = (await once(child, 'close')) as [number | null];
  return { status: status ?? -1, ...result };
}
