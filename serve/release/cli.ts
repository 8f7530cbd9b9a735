/** The entry of `npm run release -- publish|promote|rollback|history|verify`: changes and looks at a model store. */
import { runReleaseCommand } from './commands.ts';

process.exitCode = await runReleaseCommand(process.argv.slice(2), {
  print: (text) => process.stdout.write(`${text}\n`),
  report: (line) => process.stderr.write(`${line}\n`),
  environment: process.env,
});
