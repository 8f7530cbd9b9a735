/**
 * The README's picture of the folders: every file of a top folder and every folder in one has its line, and every line has
 * its file. What is deeper is told by the files themselves.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const FOLDERS = ['shared', 'train', 'serve', 'web'];
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');

/** Paths of the tree: a line's indentation says below which folder it stands. */
function readTree(): string[] {
  const block = readme.split('```').find((part) => part.startsWith('\nshared/'));
  const above: string[] = [];
  return (block ?? '')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const depth = (line.length - line.trimStart().length) / 2;
      const name = line.trim().split(/\s+/)[0] ?? '';
      above.length = depth;
      above.push(name);
      return above.join('');
    });
}

/** `train/loop.ts` as it is, `train/report/chart.ts` as `train/report/`. */
function listRooms(): string[] {
  const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', ...FOLDERS], {
    cwd: ROOT,
  })
    .toString()
    .split('\n')
    .filter((path) => /\.(ts|css|html)$/.test(path) && !path.endsWith('.d.ts') && existsSync(join(ROOT, path)));
  const rooms = files.map((path) => {
    const [top = '', name = '', ...deeper] = path.split('/');
    return deeper.length === 0 ? path : `${top}/${name}/`;
  });
  return [...new Set(rooms)];
}

describe('the tree in README.md', () => {
  const tree = readTree();

  it('has a line for every file and folder of the top folders', () => {
    expect(listRooms().filter((path) => !tree.includes(path))).toEqual([]);
  });

  it('has no line for a file that is not there', () => {
    expect(tree.length).toBeGreaterThan(50);
    expect(tree.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
  });
});

describe('README.md', () => {
  it('links only to files that are there', () => {
    const links = [...readme.matchAll(/\]\(([^)#][^)]*)\)/g)].map(([, target = '']) => target);
    const files = links.filter((target) => !target.includes('://'));
    expect(files.length).toBeGreaterThan(3);
    expect(files.filter((target) => !existsSync(join(ROOT, target)))).toEqual([]);
  });

  it('has no unfinished place', () => {
    expect(readme).not.toMatch(/@@|TBD|\?\?\?/);
  });
});
