/** The entry of `npm run model -- convert|evaluate|show|card|plan|check`: makes and reads model folders. */
import { runModelCommand } from './convert/commands.ts';

process.exitCode = await runModelCommand(process.argv.slice(2), {
  print: (text) => process.stdout.write(`${text}\n`),
  report: (line) => process.stderr.write(`${line}\n`),
  stream: process.stderr,
  environment: process.env,
});
