/**
 * `npm run oip:conformance -- URL [--model NAME] [--shape INPUT:1,3,224,224] [--strict]`: how well a server of the Open
 * Inference Protocol v2 keeps to it. Ends with 0 when it fails no `must` (with --strict: no `should` either), with 1 when it
 * does, with 2 when there is nothing to test.
 */
import { parseArgs } from 'node:util';
import type { OipTarget } from './oip-target.ts';
import { OIP_CASES, openTarget, runCase, type CaseResult } from './run-conformance.ts';

const USAGE = 'npm run oip:conformance -- URL [--model NAME] [--shape INPUT:1,3,224,224] [--strict]';
/** For one answer; a server that takes longer has not given one. */
const PATIENCE_MS = 60_000;
const MARKS = { pass: 'pass', fail: 'FAIL', 'not applicable': ' -- ' } as const;

process.exitCode = await main();

async function main(): Promise<number> {
  let options: ReturnType<typeof parseOptions>;
  let target: OipTarget;
  try {
    options = parseOptions();
    target = await openTarget(options);
  } catch (error) {
    console.error(`nothing to test: ${explain(error)}; ${USAGE}`);
    return 2;
  }
  console.log(`Open Inference Protocol v2: model "${target.model}" at ${options.url}\n`);
  const results: CaseResult[] = [];
  let section = '';
  for (const each of OIP_CASES) {
    if (each.section !== section) console.log(each.section);
    section = each.section;
    const result = await runCase(target, each);
    results.push(result);
    const isShould = each.level === 'should' ? ' (should)' : '';
    console.log(`  ${MARKS[result.outcome]}  ${each.name}${isShould}${result.reason && `\n        ${result.reason}`}`);
  }
  return summarise(results, options.isStrict);
}

/** With what led to it, as fetch says only that it failed. */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
}

function summarise(results: readonly CaseResult[], isStrict: boolean): number {
  const count = (level: string, outcome: string): number =>
    results.filter((result) => result.case.level === level && result.outcome === outcome).length;
  console.log('');
  for (const level of ['must', 'should']) {
    const [passed, failed, skipped] = ['pass', 'fail', 'not applicable'].map((outcome) => count(level, outcome));
    console.log(`${level.padEnd(6)}  ${passed} passed, ${failed} failed, ${skipped} not applicable`);
  }
  return count('must', 'fail') + (isStrict ? count('should', 'fail') : 0) === 0 ? 0 : 1;
}

function parseOptions() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      model: { type: 'string' },
      shape: { type: 'string', multiple: true },
      strict: { type: 'boolean', default: false },
    },
  });
  const [url, ...others] = positionals;
  if (url === undefined || others.length > 0) throw new Error('one URL is expected');
  const base = new URL(url.endsWith('/') ? url : `${url}/`);
  return {
    url,
    model: values.model,
    shapes: Object.fromEntries((values.shape ?? []).map(parseShape)),
    isStrict: values.strict,
    send: (path: string, init?: RequestInit) =>
      fetch(new URL(path, base), { ...init, signal: AbortSignal.timeout(PATIENCE_MS) }),
  };
}

function parseShape(text: string): [string, number[]] {
  const [, name, sizes] = /^(.+):(\d+(?:,\d+)*)$/.exec(text) ?? [];
  if (name === undefined || sizes === undefined) throw new Error(`--shape is "${text}"; NAME:1,3,224,224 is expected`);
  return [name, sizes.split(',').map(Number)];
}
