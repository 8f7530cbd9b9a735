/** Changes a store's champion without end, for tests that kill it: node release-forever.ts STORE ID ID */
import { runReleaseCommand } from '../../serve/release/commands.ts';

const [store = '', ...ids] = process.argv.slice(2);
for (let round = 0; ; round++) {
  const id = ids[round % ids.length] ?? '';
  const status = await runReleaseCommand(['promote', id, '--store', store], {
    print: () => process.stdout.write('.'),
    report: (line) => process.stderr.write(`${line}\n`),
    environment: process.env,
  });
  if (status !== 0) process.exit(status);
}
