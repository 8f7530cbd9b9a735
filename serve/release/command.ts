/** What a command of `npm run release` is, and how all of them read their command line. */
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util';
import { ProductError } from '../../shared/errors.ts';
import { channelNameSchema, DEFAULT_CHANNEL } from '../../shared/store.ts';

/** Where a command writes, and the variables it reads. */
export interface ReleaseContext {
  /** The result, on standard output. */
  print: (text: string) => void;
  /** Progress and errors, on standard error. */
  report: (line: string) => void;
  environment: Readonly<Record<string, string | undefined>>;
}

export interface ReleaseCommand {
  summary: string;
  usage: string;
  run: (args: readonly string[], context: ReleaseContext) => Promise<void>;
}

export interface CommandLine {
  /** `--store`, as it was given. */
  store: string;
  isDefaultStore: boolean;
  channel: string;
  isJson: boolean;
  /** Flags of this command alone. */
  flags: Readonly<Record<string, string | boolean | undefined>>;
  /** Exactly as many as were asked for. */
  words: string[];
}

const DEFAULT_STORE = 'store';

export const STORE_HELP = `  --store STORE        where the models are (default: the folder ${DEFAULT_STORE}/), one of
                         a folder
                         r2-local:BINDING        the bucket that wrangler.toml binds (MODELS), where "npm run dev"
                                                 has it: in .wrangler/state beside that file, no account needed
                                                 (elsewhere: r2-local:BINDING?config=FILE&state=FOLDER, as
                                                 wrangler dev has --config and --persist-to)
                         s3://BUCKET[/FOLDER]    a bucket of R2 or S3, with the variables R2_ACCESS_KEY_ID and
                                                 R2_SECRET_ACCESS_KEY, and R2_ACCOUNT_ID or ?endpoint=URL[&region=R]`;

export const CHANNEL_HELP = `  --channel NAME       the pointer (default ${DEFAULT_CHANNEL}, which servers follow)`;
export const JSON_HELP = `  --json               print the result as JSON`;

export interface CommandLineRules {
  /** Names of the words that must follow, for messages. */
  words: readonly string[];
  /** Options besides --store and --json. */
  options?: ParseArgsOptionsConfig;
}

/** Strict: unknown flags, missing and stray words are 'cli/usage' errors. */
export function parseCommandLine(args: readonly string[], { words, options = {} }: CommandLineRules): CommandLine {
  const { values, positionals } = parseStrictly(args, options);
  const missing = words[positionals.length];
  if (missing !== undefined) throw usageError(`${missing} is missing`);
  const stray = positionals[words.length];
  if (stray !== undefined) throw usageError(`"${stray}" is too much`);
  const { store, json, channel = DEFAULT_CHANNEL, ...flags } = values;
  if (store === '') throw usageError('--store is empty');
  const name = channelNameSchema.safeParse(channel);
  if (!name.success)
    throw usageError(`--channel ${String(channel)} cannot be a channel: ${name.error.issues[0]?.message}`);
  return {
    store: typeof store === 'string' ? store : DEFAULT_STORE,
    isDefaultStore: store === undefined,
    channel: name.data,
    isJson: json === true,
    flags: flags as CommandLine['flags'],
    words: positionals,
  };
}

export const CHANNEL_OPTION = { channel: { type: 'string' } } as const satisfies ParseArgsOptionsConfig;

function parseStrictly(
  args: readonly string[],
  options: ParseArgsOptionsConfig,
): { values: Readonly<Record<string, unknown>>; positionals: string[] } {
  try {
    return parseArgs({
      args: [...args],
      options: { store: { type: 'string' }, json: { type: 'boolean' }, ...options },
      strict: true,
      allowPositionals: true,
    });
  } catch (error) {
    throw usageError(error instanceof Error ? error.message : String(error));
  }
}

export function usageError(message: string): ProductError {
  return new ProductError('cli/usage', message);
}
