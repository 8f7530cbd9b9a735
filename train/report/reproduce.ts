/** The command line that gives a run's configuration again. */
import { z } from 'zod';
import { canonicalJson } from '../../shared/manifest.ts';
import { presetOf, PRESET_NAMES } from '../presets.ts';

const text = z.string();
const number = z.number();

/** Keys of a configuration that the command line can change, and how; null when it cannot give this value. */
const FLAGS: Readonly<Record<string, (value: unknown) => string | null>> = {
  epochs: (value) => flag('epochs', number, value),
  seed: (value) => flag('seed', number, value),
  batchSize: (value) => flag('batch-size', number, value),
  validationImages: (value) => flag('validation-images', number, value),
  network: (value) => flag('network', text, value),
  precision: (value) => flag('precision', text, value),
  imageFolder(value) {
    const measured = z.object({ size: z.int(), normalization: z.literal('measured') }).safeParse(value);
    return measured.success ? `--image-size ${measured.data.size}` : null;
  },
  startsFrom(value) {
    const start = z.object({ run: z.string(), modelId: z.string().optional() }).safeParse(value);
    if (!start.success) return null;
    const { run, modelId } = start.data;
    return `--from ${modelId === undefined ? `runs/${run}` : `serve/models/${modelId}`}`;
  },
};

/**
 * The command with the fewest flags, from the preset that is nearest; null when no preset and flags give this
 * configuration. A key that a run of an older version lacks counts as null.
 */
export function describeTrainCommand(config: Readonly<Record<string, unknown>>, run: string): string | null {
  const candidates = PRESET_NAMES.flatMap((name) => {
    const preset: Readonly<Record<string, unknown>> = presetOf(name);
    const keys = new Set([...Object.keys(preset), ...Object.keys(config)]);
    const changed = [...keys].filter(
      (key) => canonicalJson(preset[key] ?? null) !== canonicalJson(config[key] ?? null),
    );
    const flags = changed.map((key) => FLAGS[key]?.(config[key]) ?? null);
    return flags.includes(null) ? [] : [{ name, flags }];
  });
  const [nearest] = candidates.toSorted((a, b) => a.flags.length - b.flags.length);
  if (nearest === undefined) return null;
  const data = (config['imageFolder'] ?? null) === null ? [] : ['--data-dir DIR'];
  return ['npm run train --', `--preset ${nearest.name}`, ...nearest.flags, ...data, `--out runs/${run}`].join(' ');
}

function flag(name: string, schema: z.ZodType<string | number>, value: unknown): string | null {
  const parsed = schema.safeParse(value);
  return parsed.success ? `--${name} ${parsed.data}` : null;
}
