/**
 * The commands of `npm run release`, each in the file of its name. Results are printed, progress and errors reported
 * (standard output and standard error). Exit status: 0, 1 for an error, 2 for a wrong command line.
 */
import { ProductError } from '../../shared/errors.ts';
import { STORE_HELP, type ReleaseCommand, type ReleaseContext } from './command.ts';
import { historyCommand } from './history.ts';
import { listCommand } from './list.ts';
import { promoteCommand } from './promote.ts';
import { publishCommand } from './publish.ts';
import { rollbackCommand } from './rollback.ts';
import { verifyCommand } from './verify.ts';

const COMMANDS: ReadonlyMap<string, ReleaseCommand> = new Map([
  ['publish', publishCommand],
  ['promote', promoteCommand],
  ['verify', verifyCommand],
  ['rollback', rollbackCommand],
  ['list', listCommand],
  ['history', historyCommand],
]);

const USAGE = `npm run release -- COMMAND [options]

${[...COMMANDS].map(([name, { summary }]) => `  ${name.padEnd(10)} ${summary}`).join('\n')}

${STORE_HELP}

A release day:
  npm run release -- publish runs/mine/model
  npm run release -- promote 1a2b3c4d
  npm run release -- verify https://classifier.example.com
  npm run release -- rollback

npm run release -- COMMAND --help  shows the options of a command.`;

/** Run a command line; returns the exit status. */
export async function runReleaseCommand(args: readonly string[], context: ReleaseContext): Promise<number> {
  const { print, report } = context;
  const [name = '', ...rest] = args;
  const command = COMMANDS.get(name);
  if (command === undefined) {
    if (name === '--help' || name === '-h') {
      print(USAGE);
      return 0;
    }
    report(`${name === '' ? 'a command is missing' : `there is no command "${name}"`}\n\n${USAGE}`);
    return 2;
  }
  if (rest.includes('--help') || rest.includes('-h')) {
    print(command.usage);
    return 0;
  }
  try {
    await command.run(rest, context);
    return 0;
  } catch (error) {
    if (!(error instanceof ProductError)) throw error;
    report(`${error.code}: ${error.message}`);
    if (error.code !== 'cli/usage') return 1;
    report(`\n${command.usage}`);
    return 2;
  }
}
