/**
 * Changes a store's champion without end, for tests that kill it: node release-forever.ts STORE ID ID. With SIGTERM it ends
 * after the change that is under way.
 */
import { runReleaseCommand } from '../../serve/release/commands.ts';

const [store = '', ...ids] = process.argv.slice(2);
const over = new AbortController();
process.once('SIGTERM', () => over.abort());
for (let round = 0; !over.signal.aborted; round++) {
  const id = ids[round % ids.length] ?? '';
  const status = await runReleaseCommand(['promote', id, '--store', store], {
    print: () => process.stdout.write('.'),
    report: (line) => process.stderr.write(`${line}\n`),
    environment: process.env,
  });
  if (status !== 0) process.exit(status);
}
