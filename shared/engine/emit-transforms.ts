/**
 * Writes the AssemblyScript source of the Winograd transforms, one straight function per kind for pixels, products and
 * weights: without branches and loops over a tile, with constant addresses between the two passes. That takes half the
 * time of loops.
 *
 * Each two-dimensional transform is the same one-dimensional one twice. The first pass leaves its results at LINES, so
 * that no more than a dozen vectors are alive at a time and no compiler has to spill them:
 *
 *   input    down each column of pixels, then along each row of what came out, to V[point]
 *   output   along each row of M[point], then down each column of what came out, to pixels
 *   weights  down each column of a 3x3 window, then along each row of what came out, to U[matrix]
 */

/** Writes statements and returns names of values; a statement computes one vector. */
interface Writer {
  add: (a: string, b: string) => string;
  subtract: (a: string, b: string) => string;
  /** factor * a + b */
  scaleAdd: (factor: number, a: string, b: string) => string;
  scale: (factor: number, a: string) => string;
}

interface Transform {
  /** Values of a line of the tile: pixels in, or products in. */
  values: number;
  results: number;
  write(writer: Writer, values: readonly string[]): string[];
}

interface Kind {
  /** As in `kernels/winograd.ts`. */
  code: number;
  input: Transform;
  output: Transform;
  /** The matrix G, for weights. */
  weights: Transform;
}

function take(values: readonly string[], index: number): string {
  const value = values[index];
  if (value === undefined) throw new Error(`internal: a transform has no value ${index}`);
  return value;
}

const KINDS: readonly Kind[] = [
  {
    code: 4,
    input: {
      values: 6,
      results: 6,
      write({ add, subtract, scaleAdd }, d) {
        const [d0, d1, d2, d3, d4, d5] = named(d);
        const even = scaleAdd(-4, d2, d4);
        const odd = scaleAdd(-4, d1, d3);
        const evenHalf = subtract(d4, d2);
        const oddHalf = subtract(d3, d1);
        return [
          scaleAdd(4, subtract(d0, d2), evenHalf),
          add(even, odd),
          subtract(even, odd),
          scaleAdd(2, oddHalf, evenHalf),
          scaleAdd(-2, oddHalf, evenHalf),
          scaleAdd(-4, oddHalf, subtract(d5, d3)),
        ];
      },
    },
    output: {
      values: 6,
      results: 4,
      write({ add, subtract, scaleAdd }, m) {
        const [m0, m1, m2, m3, m4, m5] = named(m);
        const near = add(m1, m2);
        const nearDifference = subtract(m1, m2);
        const far = add(m3, m4);
        const farDifference = subtract(m3, m4);
        return [
          add(add(m0, near), far),
          scaleAdd(2, farDifference, nearDifference),
          scaleAdd(4, far, near),
          scaleAdd(8, farDifference, add(nearDifference, m5)),
        ];
      },
    },
    weights: {
      values: 3,
      results: 6,
      write({ add, subtract, scale, scaleAdd }, g) {
        const [g0, g1, g2] = named(g);
        const outer = add(g0, g2);
        const far = scaleAdd(1 / 24, g0, scale(1 / 6, g2));
        return [
          scale(1 / 4, g0),
          scale(-1 / 6, add(outer, g1)),
          scale(-1 / 6, subtract(outer, g1)),
          scaleAdd(1 / 12, g1, far),
          scaleAdd(-1 / 12, g1, far),
          g2,
        ];
      },
    },
  },
  {
    code: 2,
    input: {
      values: 4,
      results: 4,
      write({ add, subtract }, d) {
        const [d0, d1, d2, d3] = named(d);
        return [subtract(d0, d2), add(d1, d2), subtract(d2, d1), subtract(d1, d3)];
      },
    },
    output: {
      values: 4,
      results: 2,
      write({ add, subtract }, m) {
        const [m0, m1, m2, m3] = named(m);
        return [add(add(m0, m1), m2), subtract(subtract(m1, m2), m3)];
      },
    },
    weights: {
      values: 3,
      results: 4,
      write({ add, subtract, scale }, g) {
        const [g0, g1, g2] = named(g);
        const outer = add(g0, g2);
        return [g0, scale(1 / 2, add(outer, g1)), scale(1 / 2, subtract(outer, g1)), g2];
      },
    },
  },
  {
    code: 14,
    input: {
      values: 9,
      results: 9,
      write({ subtract, scaleAdd }, d) {
        const [d0, d1, e1, d3, e2, d5] = named(d);
        const e3 = take(d, 6);
        const d7 = take(d, 7);
        const e4 = take(d, 8);
        // The even phase is d0, e1, e2, e3, e4.
        const ends = subtract(e3, e1);
        const inner = subtract(e3, e2);
        return [
          scaleAdd(2, subtract(d0, e2), ends),
          scaleAdd(-2, e1, inner),
          scaleAdd(2, subtract(e1, e2), inner),
          ends,
          scaleAdd(-2, ends, subtract(e4, e2)),
          ...[d1, d3, d5, d7],
        ];
      },
    },
    output: {
      values: 9,
      results: 4,
      write({ add, subtract, scaleAdd }, m) {
        const [m0, m1, m2, m3, m4, odd0] = named(m);
        const near = add(m1, m2);
        const nearDifference = subtract(m1, m2);
        return [
          add(add(m0, near), add(m3, odd0)),
          scaleAdd(2, m3, add(nearDifference, take(m, 6))),
          scaleAdd(4, m3, add(near, take(m, 7))),
          scaleAdd(8, m3, add(add(nearDifference, take(m, 8)), m4)),
        ];
      },
    },
    weights: {
      values: 3,
      results: 6,
      write({ add, subtract, scale, scaleAdd }, g) {
        const [g0, g1, g2] = named(g);
        return [
          scale(1 / 2, g0),
          scale(-1 / 2, add(g0, g2)),
          scale(1 / 6, subtract(g2, g0)),
          scaleAdd(1 / 6, g0, scale(1 / 3, g2)),
          ...[g2, g1],
        ];
      },
    },
  },
  {
    code: 12,
    input: {
      values: 5,
      results: 5,
      write({ subtract }, d) {
        const [d0, d1, d2, d3, d4] = named(d);
        return [subtract(d2, d0), d2, subtract(d4, d2), d1, d3];
      },
    },
    output: {
      values: 5,
      results: 2,
      write({ add }, m) {
        const [m0, m1, m2, m3, m4] = named(m);
        return [add(add(m0, m1), m3), add(add(m1, m2), m4)];
      },
    },
    weights: {
      values: 3,
      results: 4,
      write({ add, scale }, g) {
        const [g0, g1, g2] = named(g);
        return [scale(-1, g0), add(g0, g2), g2, g1];
      },
    },
  },
];

/** The first six, for taking apart; the transforms that have fewer do not read the others. */
function named(values: readonly string[]): [string, string, string, string, string, string] {
  const [a = '', b = '', c = '', d = '', e = '', f = ''] = values;
  return [a, b, c, d, e, f];
}

/** Source of `readTile4`, `writeTile4`, `packTile4` and so on, for each kind of `kernels/winograd.ts`. */
export function emitTransforms(relaxed: boolean): string {
  return [
    "import { LINES, PACK_RUN, PACK_VALUES } from './scratch';",
    ...KINDS.flatMap((kind) => [emitRead(kind, relaxed), emitWrite(kind, relaxed), emitPack(kind, relaxed)]),
  ].join('\n');
}

/** Statements of one transform, and the names of its results. `prefix` keeps names apart. */
function writeLine(
  transform: Transform,
  values: readonly string[],
  prefix: string,
  relaxed: boolean,
): { lines: string[]; results: string[] } {
  const lines: string[] = [];
  const keep = (expression: string): string => {
    const name = `${prefix}_${lines.length}`;
    lines.push(`const ${name} = ${expression};`);
    return name;
  };
  const scaleAdd = (factor: number, a: string, b: string): string => {
    const splat = `f32x4.splat(${Math.abs(factor)})`;
    if (relaxed) return keep(`f32x4.relaxed_${factor < 0 ? 'n' : ''}madd(${splat}, ${a}, ${b})`);
    return keep(`f32x4.${factor < 0 ? 'sub' : 'add'}(${b}, f32x4.mul(${splat}, ${a}))`);
  };
  const scale = (factor: number, a: string): string => keep(`f32x4.mul(f32x4.splat(${factor}), ${a})`);
  const add = (a: string, b: string): string => keep(`f32x4.add(${a}, ${b})`);
  const subtract = (a: string, b: string): string => keep(`f32x4.sub(${a}, ${b})`);
  const results = transform.write({ add, subtract, scale, scaleAdd }, values);
  return { lines, results };
}

function each(count: number, line: (index: number) => readonly string[]): string[] {
  return Array.from({ length: count }, (_, index) => line(index)).flat();
}

/** Four channels of one tile: pixels [values][values] -> V[results][results], planes `planeBytes` apart. */
function emitRead({ code, input }: Kind, relaxed: boolean): string {
  const { values, results } = input;
  return [
    `export function readTile${code}(pixel: usize, rowBytes: usize, pixelBytes: usize, point: usize, planeBytes: usize): void {`,
    ...each(values - 1, (y) => [`  const row${y + 1} = ${y === 0 ? 'pixel' : `row${y}`} + rowBytes;`]),
    ...each(values, (x) => {
      const names = Array.from({ length: values }, (_, y) => `d${x}_${y}`);
      const line = writeLine(input, names, `v${x}`, relaxed);
      return [
        ...(x === 0 ? [] : [`  const x${x} = ${x === 1 ? '' : `x${x - 1} + `}pixelBytes;`]),
        ...names.map(
          (name, y) => `  const ${name} = v128.load(${y === 0 ? 'pixel' : `row${y}`}${x === 0 ? '' : ` + x${x}`});`,
        ),
        ...line.lines.map((text) => `  ${text}`),
        ...line.results.map((name, i) => `  v128.store(LINES, ${name}, ${(i * values + x) * 16});`),
      ];
    }),
    ...each(results, (i) => {
      const names = Array.from({ length: values }, (_, x) => `h${i}_${x}`);
      const line = writeLine(input, names, `w${i}`, relaxed);
      return [
        ...names.map((name, x) => `  const ${name} = v128.load(LINES, ${(i * values + x) * 16});`),
        ...line.lines.map((text) => `  ${text}`),
        ...line.results.map((name) => `  v128.store(point, ${name}); point += planeBytes;`),
      ];
    }),
    '}',
  ].join('\n');
}

/** Four channels of one tile: M[values][values] -> pixels [results][results] with gain, shift, residual and ReLU. */
function emitWrite({ code, output }: Kind, relaxed: boolean): string {
  const { values, results } = output;
  return [
    `export function writeTile${code}(`,
    '  point: usize, planeBytes: usize, pixel: usize, rowBytes: usize, pixelBytes: usize,',
    '  gain: v128, shift: v128, residual: usize, lowest: v128',
    '): void {',
    ...each(values, (i) => {
      const names = Array.from({ length: values }, (_, x) => `m${i}_${x}`);
      const line = writeLine(output, names, `v${i}`, relaxed);
      return [
        ...names.map((name) => `  const ${name} = v128.load(point); point += planeBytes;`),
        ...line.lines.map((text) => `  ${text}`),
        ...line.results.map((name, x) => `  v128.store(LINES, ${name}, ${(x * values + i) * 16});`),
      ];
    }),
    ...each(results, (x) => {
      const names = Array.from({ length: values }, (_, i) => `h${x}_${i}`);
      const line = writeLine(output, names, `w${x}`, relaxed);
      return [
        ...names.map((name, i) => `  const ${name} = v128.load(LINES, ${(x * values + i) * 16});`),
        ...line.lines.map((text) => `  ${text}`),
        `  let out${x} = pixel;`,
        ...line.results.flatMap((name, y) => [
          `  let y${x}_${y} = ${relaxed ? `f32x4.relaxed_madd(${name}, gain, shift)` : `f32x4.add(f32x4.mul(${name}, gain), shift)`};`,
          `  if (residual) y${x}_${y} = f32x4.add(y${x}_${y}, v128.load(out${x} + residual));`,
          `  v128.store(out${x}, f32x4.pmax(y${x}_${y}, lowest));`,
          ...(y < results - 1 ? [`  out${x} += rowBytes;`] : []),
        ]),
        ...(x < results - 1 ? ['  pixel += pixelBytes;'] : []),
      ];
    }),
    '}',
  ].join('\n');
}

/** Four channels out of one channel in: weights [3][3], taps `tapBytes` apart -> vector `k` of each run of PACK_VALUES. */
function emitPack({ code, weights }: Kind, relaxed: boolean): string {
  const { values, results } = weights;
  const tap = (y: number, x: number): string => {
    const index = y * values + x;
    return index === 0 ? 'weight' : `weight + ${index} * tapBytes`;
  };
  return [
    `export function packTile${code}(weight: usize, tapBytes: usize, k: usize): void {`,
    '  const value = PACK_VALUES + (k << 4);',
    ...each(values, (x) => {
      const names = Array.from({ length: values }, (_, y) => `g${x}_${y}`);
      const line = writeLine(weights, names, `v${x}`, relaxed);
      return [
        ...names.map((name, y) => `  const ${name} = v128.load(${tap(y, x)});`),
        ...line.lines.map((text) => `  ${text}`),
        ...line.results.map((name, i) => `  v128.store(LINES, ${name}, ${(i * values + x) * 16});`),
      ];
    }),
    ...each(results, (i) => {
      const names = Array.from({ length: values }, (_, x) => `h${i}_${x}`);
      const line = writeLine(weights, names, `w${i}`, relaxed);
      return [
        ...names.map((name, x) => `  const ${name} = v128.load(LINES, ${(i * values + x) * 16});`),
        ...line.lines.map((text) => `  ${text}`),
        ...line.results.map((name, j) => `  v128.store(value, ${name}, PACK_RUN * ${(i * results + j) * 16});`),
      ];
    }),
    '}',
  ].join('\n');
}
