/** JSON whose values, shape or text is wrong. */
import type { Dice } from './dice.ts';
import { drawTrouble, mutateText } from './mutate-bytes.ts';

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** As text: some of it no JSON writer would write. */
export function mutateJson(value: Json, dice: Dice): string {
  const kind = dice.below(36);
  if (kind === 0) return drawDeep(dice);
  let changed = value;
  if (kind > 8) for (let left = 1 + dice.below(3); left > 0; left--) changed = changeSomewhere(changed, dice);
  const text = dice.onceIn(10) ? JSON.stringify(changed, undefined, '\t') : JSON.stringify(changed);
  if (kind < 9 || dice.onceIn(6)) return mutateText(text, dice);
  // No JavaScript number is written like this.
  return dice.onceIn(6) ? text.replace(/\d+/, dice.pick(['1e999', '-1e999', '0.1e-400', '9'.repeat(500), '-0'])) : text;
}

/** Deep enough to end the stack of whoever descends into it. */
function drawDeep(dice: Dice): string {
  const depth = dice.onceIn(20) ? 200_000 : dice.pick([50, 2000, 20_000]);
  const [open, close] = dice.pick([
    ['[', ']'],
    ['{"a":', '}'],
    ['{"inputs":[', ']}'],
    ['[[],', ']'],
  ]) as [string, string];
  const deep = `${open.repeat(depth)}1${dice.onceIn(4) ? '' : close.repeat(depth)}`;
  return dice.pick([
    deep,
    `{"image":${deep}}`,
    `{"image":"","label":${deep}}`,
    `{"ready":${deep}}`,
    `{"id":${deep},"inputs":[]}`,
    `{"parameters":{"a":${deep}},"inputs":[]}`,
    `{"inputs":[{"name":"image","datatype":"UINT8","shape":[1,8,8,3],"data":${deep}}]}`,
    `{"inputs":[{"name":"image","datatype":"UINT8","shape":${deep},"data":[1]}]}`,
    `{"inputs":[],"outputs":${deep}}`,
  ]);
}

/** One value on the way down is replaced, removed, doubled or renamed. */
function changeSomewhere(value: Json, dice: Dice): Json {
  const keys = typeof value === 'object' && value !== null ? Object.keys(value) : [];
  if (keys.length === 0 || dice.onceIn(6)) return drawValue(value, dice);
  const key = dice.pick(keys);
  if (Array.isArray(value)) {
    const at = Number(key);
    const inside = (): Json[] => value.with(at, changeSomewhere(value[at] ?? null, dice));
    return dice.pick<() => Json>([
      inside,
      inside,
      inside,
      () => value.toSpliced(at, 1),
      () => value.toSpliced(at, 0, value[at] ?? null),
      () => [...value, ...value],
      () => value.toSpliced(at, 0, drawValue(null, dice)),
    ])();
  }
  const object = value as { [name: string]: Json };
  const inside = (): Json => ({ ...object, [key]: changeSomewhere(object[key] ?? null, dice) });
  return dice.pick<() => Json>([
    inside,
    inside,
    inside,
    () => Object.fromEntries(Object.entries(object).filter(([name]) => name !== key)),
    () => ({ ...object, [drawTrouble(dice)]: drawValue(null, dice) }),
    () =>
      Object.fromEntries(Object.entries(object).map(([name, each]) => [name === key ? drawTrouble(dice) : name, each])),
  ])();
}

function drawValue(old: Json, dice: Dice): Json {
  return dice.pick<() => Json>([
    () => null,
    () => dice.onceIn(2),
    () => dice.pick([0, -1, 1, 2, 255, 256, 300, 0.5, 1e300, -1e300, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 53 + 2, 5e-324]),
    () => drawTrouble(dice),
    () => 'a'.repeat(dice.pick([1, 100, 10_000])),
    () => [],
    () => ({}),
    () => [old],
    () => ({ value: old }),
    () => (typeof old === 'string' ? mutateText(old, dice) : JSON.stringify(old).slice(0, 100)),
    () => (typeof old === 'number' ? old + dice.pick([-1, 1, 0.5, 1e9]) : [old, old]),
  ])();
}
