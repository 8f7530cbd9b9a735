/** `node serve/node.ts` as a supervisor runs it, and may kill it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

export interface ServerProcess {
  url: string;
  /** All that it has said so far. */
  readonly output: string;
  /** Resident memory in bytes. Linux only. */
  readResident(): number;
  signal(signal: NodeJS.Signals): void;
  /** Settles when it has ended. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
}

/** Settles when it answers with a model. */
export async function startServerProcess(environment: Record<string, string>): Promise<ServerProcess> {
  const child = spawn(process.execPath, ['serve/node.ts'], {
    env: { PATH: process.env['PATH'], PORT: '0', ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'close');
  let output = '';
  const url = await new Promise<string>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (data: Buffer) => {
        output += data.toString();
        const [, found] = /(http:\/\/\S+) answers with/.exec(output) ?? [];
        if (found !== undefined) resolve(found);
      });
    }
    void ended.then(() => reject(new Error(`the server ended: ${output}`)));
  });
  return {
    url,
    get output() {
      return output;
    },
    readResident() {
      const [, kilobytes] = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8')) ?? [];
      return Number(kilobytes) * 1024;
    },
    signal: (signal) => child.kill(signal),
    async end(signal) {
      child.kill(signal);
      await ended;
    },
  };
}
