import { expect, test } from 'vitest';
import { parseSoakOptions } from './soak-options.ts';

test('a soak without flags proves every part, and with --only that part', () => {
  const all = { clients: 64, seconds: 60, swaps: 200, kills: 100, rate: undefined };
  expect(parseSoakOptions([])).toMatchObject({ ...all, parts: ['load', 'swaps', 'kills'] });
  expect(parseSoakOptions(['--only', 'kills', '--kills', '20', '--rate', '30'])).toMatchObject({
    ...all,
    parts: ['kills'],
    kills: 20,
    rate: 30,
  });
});

test.each([
  [['--only', 'swap'], '--only is "swap"; one of load, swaps, kills is expected'],
  [['--only', ''], '--only is ""; one of load, swaps, kills is expected'],
  [['--swaps', 'x'], '--swaps is "x"; a whole number from 10 on is expected'],
  [['--kills', '0'], '--kills is "0"; a whole number from 1 on is expected'],
  [['--seconds', '1e9'], '--seconds is "1e9"; a whole number from 30 on is expected'],
  [['--rate', ''], '--rate is ""; a whole number from 1 on is expected'],
])('a soak with %j is refused, so that it does not prove nothing', (args, message) => {
  expect(() => parseSoakOptions(args)).toThrow(message);
});

test('a soak with a flag that nobody knows is refused', () => {
  expect(() => parseSoakOptions(['--swap', '20'])).toThrow(/Unknown option '--swap'/);
});
