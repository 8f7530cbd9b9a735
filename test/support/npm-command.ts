/** `npm run ...` as a user gives it: a command that ends, or a server. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

export interface NpmResult {
  /** Standard output. */
  printed: string;
  /** Standard error. */
  reported: string;
}

/** Run a script of package.json to its end. Throws with all that it said unless it ends with 0. */
export async function runNpm(script: string, args: readonly string[]): Promise<NpmResult> {
  const child = spawnNpm(script, args, {});
  const result = { printed: '', reported: '' };
  child.stdout?.on('data', (data: Buffer) => (result.printed += data.toString()));
  child.stderr?.on('data', (data: Buffer) => (result.reported += data.toString()));
  const [status] = (await once(child, 'close')) as [number | null];
  if (status === 0) return { ...result, printed: result.printed.trimEnd() };
  throw new Error(`npm run ${script} -- ${args.join(' ')}: status ${status}\n${result.printed}\n${result.reported}`);
}

export interface NpmServer {
  url: string;
  /** All that it has said so far. */
  readonly output: string;
  /** Ask it to end, and wait for that. */
  stop(): Promise<void>;
}

/** Start a script that serves; it is up when its output has the address as the first group of `pattern`. */
export async function startNpmServer(
  script: string,
  args: readonly string[],
  { pattern, environment }: { pattern: RegExp; environment: Readonly<Record<string, string>> },
): Promise<NpmServer> {
  const child = spawnNpm(script, args, environment);
  const ended = once(child, 'close');
  let output = '';
  const url = await new Promise<string>((resolve, reject) => {
    const listen = (data: Buffer): void => {
      output += data.toString();
      const found = pattern.exec(output)?.[1];
      if (found !== undefined) resolve(found);
    };
    child.stdout?.on('data', listen);
    child.stderr?.on('data', listen);
    void ended.then(() => reject(new Error(`npm run ${script} ended: ${output}`)));
  });
  return {
    url,
    get output() {
      return output;
    },
    async stop() {
      // npm passes the signal on, and ends when the server has.
      child.kill('SIGTERM');
      await ended;
    },
  };
}

function spawnNpm(
  script: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): ChildProcess {
  return spawn('npm', ['run', '--silent', script, '--', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  });
}
