/** What `npm run soak` is asked for; a slip of the pen must not prove nothing. */
import { parseArgs } from 'node:util';

const PARTS = ['load', 'swaps', 'kills'] as const;
export type SoakPart = (typeof PARTS)[number];

export interface SoakOptions {
  parts: readonly SoakPart[];
  clients: number;
  seconds: number;
  swaps: number;
  kills: number;
  /** Requests a second; undefined: what the part has by itself. */
  rate: number | undefined;
  /** Model folders. */
  first: string | undefined;
  second: string | undefined;
}

/** Looks at the memory, one a second and one a swap, of which a tenth must be some. */
const LEAST = { seconds: 30, swaps: 10, clients: 1, kills: 1, rate: 1 } as const;

/** `args` without the program. Throws an Error that names the flag and what is expected. */
export function parseSoakOptions(args: readonly string[]): SoakOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string' },
      clients: { type: 'string', default: '64' },
      seconds: { type: 'string', default: '60' },
      swaps: { type: 'string', default: '200' },
      kills: { type: 'string', default: '100' },
      rate: { type: 'string' },
      first: { type: 'string' },
      second: { type: 'string' },
    },
  });
  const parts = values.only === undefined ? PARTS : PARTS.filter((part) => part === values.only);
  if (parts.length === 0) throw new Error(`--only is "${values.only}"; one of ${PARTS.join(', ')} is expected`);
  const read = (name: keyof typeof LEAST): number => {
    const text = values[name] ?? '';
    const number = /^\d{1,9}$/.test(text) ? Number(text) : 0;
    if (number >= LEAST[name]) return number;
    throw new Error(`--${name} is "${text}"; a whole number from ${LEAST[name]} on is expected`);
  };
  return {
    parts,
    clients: read('clients'),
    seconds: read('seconds'),
    swaps: read('swaps'),
    kills: read('kills'),
    rate: values.rate === undefined ? undefined : read('rate'),
    first: values.first,
    second: values.second,
  };
}
