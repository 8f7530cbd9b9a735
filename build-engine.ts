/**
 * Compile the kernels of the edge engine, `shared/engine/kernels`, to `shared/engine/wasm`. The result is committed; the
 * same source gives the same bytes on every machine, and a test holds the two together.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { main } from 'assemblyscript/asc';
import { emitMatrixTiles, type MatrixTileVariant } from './shared/engine/emit-matrix-tile.ts';
import { emitTransforms } from './shared/engine/emit-transforms.ts';

const SOURCES = 'shared/engine/kernels';
const OUTPUT = 'shared/engine/wasm';

const VARIANTS: Readonly<Record<string, MatrixTileVariant>> = {
  /** Workers, Node 24, today's browsers. */
  relaxed: { relaxed: true, streams: 4, unroll: 4, isWide: true },
  /** V8 before 13 (Node 22): it reorders unrolled loops and then spills. */
  'relaxed-short': { relaxed: true, streams: 2, unroll: 1, isWide: false },
  /** Where relaxed SIMD is missing (Node 20, some Safari). */
  simd: { relaxed: false, streams: 4, unroll: 4, isWide: false },
};

/** Bytes of each module by file name. */
export async function compileEngine(): Promise<Map<string, Uint8Array>> {
  const modules = new Map<string, Uint8Array>();
  for (const [name, variant] of Object.entries(VARIANTS)) {
    // One after the other: the compiler keeps state in its module.
    modules.set(`edge-${name}.wasm`, await compile(variant));
  }
  return modules;
}

async function compile(variant: MatrixTileVariant): Promise<Uint8Array> {
  const written = new Map([
    ['matrix-tiles.ts', emitMatrixTiles(variant)],
    ['transforms.ts', emitTransforms(variant.relaxed)],
  ]);
  let bytes: Uint8Array | undefined;
  const messages: string[] = [];
  const features = variant.relaxed ? ['--enable', 'relaxed-simd'] : [];
  // -O1: higher levels nest the sums of an unrolled loop, and V8 then runs out of registers (twice as slow).
  // One page from the start on: V8 then checks no access to the scratch, where it checks accesses at all (workerd).
  const flags = [
    '--outFile',
    'edge.wasm',
    '--enable',
    'simd',
    ...features,
    '--runtime',
    'stub',
    '--noAssert',
    '-O1',
    '--initialMemory',
    '1',
  ];
  const { error } = await main(['module.ts', ...flags], {
    readFile: (name) => written.get(name) ?? readSource(name),
    writeFile: (name, contents) => {
      if (name === 'edge.wasm' && contents instanceof Uint8Array) bytes = contents;
    },
    listFiles: () => [],
    stderr: { write: (text: string | Uint8Array) => messages.push(String(text)) },
  });
  if (error !== null || bytes === undefined) {
    throw new Error(`the kernels do not compile: ${messages.join('')}`, { cause: error });
  }
  return bytes;
}

/** The compiler also asks for places where a file could be; those it is told are empty. */
function readSource(name: string): string | null {
  try {
    return readFileSync(join(import.meta.dirname, SOURCES, name), 'utf8');
  } catch {
    return null;
  }
}

if (import.meta.main) {
  mkdirSync(OUTPUT, { recursive: true });
  for (const [name, bytes] of await compileEngine()) {
    writeFileSync(join(OUTPUT, name), bytes);
    console.log(`${OUTPUT}/${name}  ${bytes.length} bytes`);
  }
}
