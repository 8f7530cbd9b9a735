/**
 * Each checker of `npm run check` can fail: the real tools, with this repository's settings, on a small copy of its
 * folders. They accept the clean copy (test/surface/planted/clean) and name every planted violation in the others.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';

const REPOSITORY = resolve(import.meta.dirname, '../..');
const PLANTED = join(import.meta.dirname, 'planted');
const PROJECTS = [
  'shared',
  'shared/image',
  'shared/engine',
  'shared/client',
  'train',
  'serve',
  'serve/tsconfig.node.json',
  'web',
];
const SETTINGS = [
  ...PROJECTS.map((project) => (project.endsWith('.json') ? project : `${project}/tsconfig.json`)),
  'tsconfig.base.json',
  '.gitignore',
  '.oxlintrc.json',
  '.oxfmtrc.json',
  'knip.json',
];

interface CheckResult {
  readonly status: number | null;
  readonly output: string;
}

const copies: string[] = [];
afterAll(() => {
  for (const copy of copies) rmSync(copy, { recursive: true, force: true });
});

/** A copy of the settings and the clean folders, with a set of violations planted among them. */
function plant(violations?: 'wrong-imports' | 'wrong-lines' | 'wrong-format' | 'unused'): string {
  const copy = mkdtempSync(join(tmpdir(), 'planted-'));
  copies.push(copy);
  cpSync(join(PLANTED, 'clean'), copy, { recursive: true });
  for (const file of SETTINGS) cpSync(join(REPOSITORY, file), join(copy, file));
  symlinkSync(join(REPOSITORY, 'node_modules'), join(copy, 'node_modules'));
  if (violations !== undefined) cpSync(join(PLANTED, violations), copy, { recursive: true });
  return copy;
}

function check(copy: string, tool: 'tsc' | 'oxlint' | 'oxfmt' | 'knip', ...options: string[]): CheckResult {
  const executable = join(REPOSITORY, 'node_modules/.bin', tool);
  const { status, stdout, stderr } = spawnSync(executable, options, { cwd: copy, encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

const compile = (copy: string): CheckResult => check(copy, 'tsc', '-b', '--pretty', 'false', ...PROJECTS);
const format = (copy: string): CheckResult => check(copy, 'oxfmt', '--check');
const findUnused = (copy: string): CheckResult => check(copy, 'knip', '--no-progress');

const oxlintReport = z.object({
  diagnostics: z.array(
    z.object({ filename: z.string(), code: z.string(), message: z.string(), help: z.string().default('') }),
  ),
});

/** One line for each finding; the human sentence of an import rule is its `help`. */
function lint(copy: string): CheckResult {
  const { status, output } = check(copy, 'oxlint', '--format', 'json');
  const { diagnostics } = oxlintReport.parse(JSON.parse(output));
  const lines = diagnostics.map(
    ({ filename, code, message, help }) => `${filename}: error ${code}: ${message} ${help}`,
  );
  return { status, output: lines.join('\n') };
}

describe('the clean copy', () => {
  const copy = plant();

  test.each([
    ['tsc', compile],
    ['oxlint', lint],
    ['oxfmt', format],
    ['knip', findUnused],
  ])('passes %s', (_tool, run) => {
    const { status, output } = run(copy);
    expect({ status, output }, output).toMatchObject({ status: 0 });
  });
});

describe('a wrong import', () => {
  const NOT_IN_PROJECT = 'TS6307';
  const NO_SUCH_MODULE = 'TS2591';
  let compiled: CheckResult;
  let linted: CheckResult;
  beforeAll(() => {
    const copy = plant('wrong-imports');
    compiled = compile(copy);
    linted = lint(copy);
  });

  test.each([
    ['shared/imports-image.ts', NOT_IN_PROJECT, 'imports nobody but zod'],
    ['shared/imports-train.ts', NOT_IN_PROJECT, 'imports nobody but zod'],
    ['shared/imports-serve.ts', NOT_IN_PROJECT, 'imports nobody but zod'],
    ['shared/imports-web.ts', NOT_IN_PROJECT, 'imports nobody but zod'],
    ['shared/imports-node.ts', NO_SUCH_MODULE, 'imports nobody but zod'],
    ['shared/image/imports-train.ts', NOT_IN_PROJECT, 'the same on every platform'],
    ['shared/client/imports-serve.ts', NOT_IN_PROJECT, 'the same on every platform'],
    ['train/imports-serve.ts', NOT_IN_PROJECT, 'only in the model folder that it writes'],
    ['train/imports-web.ts', NOT_IN_PROJECT, 'only in the model folder that it writes'],
    ['serve/imports-train.ts', NOT_IN_PROJECT, 'only in the model folder that it reads'],
    ['serve/imports-web.ts', NOT_IN_PROJECT, 'only in the model folder that it reads'],
    ['serve/imports-node-edge.ts', NOT_IN_PROJECT, 'only serve/node.ts, serve/node/ and serve/release/ may see Node'],
    ['serve/imports-node.ts', NO_SUCH_MODULE, 'only serve/node.ts, serve/node/ and serve/release/ may see Node'],
    ['serve/node/imports-train.ts', NOT_IN_PROJECT, 'only in the model folder that it reads'],
    ['web/imports-serve.ts', NOT_IN_PROJECT, 'talks to serve/ over HTTP'],
    ['web/imports-train.ts', NOT_IN_PROJECT, 'talks to serve/ over HTTP'],
  ])('in %s does not compile, and the linter says why', (file, code, sentence) => {
    expect(findLines(compiled.output, file)).toContain(`error ${code}:`);
    expect(findLines(linted.output, file)).toContain(sentence);
    expect(compiled.status).not.toBe(0);
    expect(linted.status).not.toBe(0);
  });
});

describe('oxlint', () => {
  let linted: CheckResult;
  beforeAll(() => {
    linted = lint(plant('wrong-lines'));
  });

  test.each([
    ['train/floating-promise.ts', 'typescript(no-floating-promises)'],
    ['train/any.ts', 'typescript(no-explicit-any)'],
    ['train/cycle-a.ts', 'import(no-cycle)'],
    ['train/focused.test.ts', 'vitest(no-focused-tests)'],
  ])('finds the violation in %s: %s', (file, rule) => {
    expect(findLines(linted.output, file)).toContain(rule);
    expect(linted.status).not.toBe(0);
  });
});

test('oxfmt names an unformatted file', () => {
  const { status, output } = format(plant('wrong-format'));
  expect(output).toContain('train/unformatted.ts');
  expect(status).not.toBe(0);
});

test('knip names an unused file and an unused dependency', () => {
  const { status, output } = findUnused(plant('unused'));
  expect(output).toMatch(/Unused files[^]*train\/never-imported\.ts/);
  expect(output).toMatch(/Unused dependencies[^]*hono/);
  expect(status).not.toBe(0);
});

function findLines(output: string, file: string): string {
  return output
    .split('\n')
    .filter((line) => line.includes(file))
    .join('\n');
}
