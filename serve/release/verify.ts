/** `verify`: whether a live server answers with the champion, and with the numbers that this model computes here. */
import { DEFAULT_CHANNEL } from '../../shared/store.ts';
import {
  CHANNEL_HELP,
  CHANNEL_OPTION,
  JSON_HELP,
  parseCommandLine,
  STORE_HELP,
  usageError,
  type ReleaseCommand,
} from './command.ts';
import { askServer } from './live-server.ts';
import { useStore } from './open-store.ts';

/** Of the logits' standard deviation: twice of what the engines may differ by. */
const DEFAULT_TOLERANCE = 0.01;
/** Servers look at the pointer every few seconds. */
const DEFAULT_WAIT_S = 20;

export const verifyCommand: ReleaseCommand = {
  summary: 'hold a live server to the champion',
  usage: `npm run release -- verify URL [options]

Sends the sample pictures to a live server and compares: x-model-id with the store's champion, and every logit with what
this model computes here.

  URL                  the server, for example http://127.0.0.1:8787
  --wait SECONDS       how long the server may take to notice the champion (default ${DEFAULT_WAIT_S})
  --tolerance SHARE    how much a logit may differ, in standard deviations of the logits (default ${DEFAULT_TOLERANCE})
${CHANNEL_HELP}
${STORE_HELP}
${JSON_HELP}`,

  async run(args, { print, report, environment }) {
    const line = parseCommandLine(args, {
      words: ['URL'],
      options: { ...CHANNEL_OPTION, wait: { type: 'string' }, tolerance: { type: 'string' } },
    });
    const url = parseServer(line.words[0] ?? '');
    const waitMs = 1000 * parseNumber('wait', line.flags['wait'] ?? DEFAULT_WAIT_S);
    const tolerance = parseNumber('tolerance', line.flags['tolerance'] ?? DEFAULT_TOLERANCE);
    const options = { environment, mayBeNew: line.isDefaultStore };
    // The other commands start faster without TensorFlow.js.
    const { computeAnswers, compareAnswers } = await import('./known-answers.ts');
    const expected = await useStore(line.store, options, (store) => computeAnswers(store, line.channel));
    const { modelId, name } = expected.manifest;
    report(`${url} is expected to answer with ${name} (${modelId.slice(0, 8)})`);
    const channel = line.channel === DEFAULT_CHANNEL ? undefined : line.channel;
    const answers = await askServer({ url, expected, waitMs, channel });
    const comparison = compareAnswers(expected, answers, tolerance);
    if (line.isJson) return print(JSON.stringify({ url, modelId, name, tolerance, ...comparison }));
    print(
      `${url} answers with ${name} (${modelId.slice(0, 8)})\n${comparison.pictures} pictures, ${comparison.logits} logits: they differ by at most ${comparison.difference.toExponential(1)}, ${comparison.share.toExponential(1)} of their standard deviation (allowed: ${tolerance})`,
    );
  },
};

function parseServer(text: string): string {
  const url = URL.parse(text);
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url.href.replace(/\/+$/, '');
  throw usageError(`"${text}" is not the address of a server; for example http://127.0.0.1:8787 is expected`);
}

function parseNumber(name: string, value: unknown): number {
  const number = Number(value);
  if (value !== '' && Number.isFinite(number) && number >= 0) return number;
  throw usageError(`--${name} ${String(value)} is not a number of 0 or more`);
}
