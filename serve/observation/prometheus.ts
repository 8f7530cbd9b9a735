/**
 * Metrics in the text format of Prometheus (version 0.0.4): counters, histograms, and gauges that are read when somebody
 * asks. A registry belongs to one server, so that two in a process do not count together.
 */

export type Labels = Readonly<Record<string, string>>;

export interface Counter {
  add(labels?: Labels, amount?: number): void;
}

export interface Histogram {
  observe(value: number, labels?: Labels): void;
}

/** A number, or one for each set of labels. */
export type Reading = number | readonly (readonly [labels: Labels, value: number])[];

interface Description {
  /** With its unit, as Prometheus wants it: `_seconds`, `_bytes`, `_total`. */
  name: string;
  help: string;
}

export interface Registry {
  counter(description: Description): Counter;
  /** `buckets` are upper bounds, ascending, without infinity. */
  histogram(description: Description & { buckets: readonly number[] }): Histogram;
  /** `counter` for what only grows. */
  watch(description: Description & { type?: 'gauge' | 'counter'; read: () => Reading | Promise<Reading> }): void;
  write(): Promise<string>;
}

export const PROMETHEUS_MEDIA_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export function createRegistry(): Registry {
  const families: (() => Promise<string[]>)[] = [];
  const names = new Set<string>();

  function add({ name, help }: Description, type: string, list: () => string[] | Promise<string[]>): void {
    if (names.has(name)) throw new Error(`internal: there are two metrics ${name}`);
    names.add(name);
    families.push(async () => [`# HELP ${name} ${escapeHelp(help)}`, `# TYPE ${name} ${type}`, ...(await list())]);
  }

  return {
    counter(description) {
      const values = new Map<string, number>();
      add(description, 'counter', () => [...values].map(([labels, value]) => `${description.name}${labels} ${value}`));
      return {
        add(labels = {}, amount = 1) {
          const key = writeLabels(labels);
          values.set(key, (values.get(key) ?? 0) + amount);
        },
      };
    },
    histogram({ buckets, ...description }) {
      const series = new Map<string, HistogramSeries>();
      add(description, 'histogram', () =>
        [...series.values()].flatMap((each) => listSeries(description.name, buckets, each)),
      );
      return {
        observe(value, labels = {}) {
          const key = writeLabels(labels);
          const found = series.get(key) ?? { labels, counts: buckets.map(() => 0), sum: 0, count: 0 };
          series.set(key, found);
          const bucket = buckets.findIndex((bound) => value <= bound);
          if (bucket !== -1) found.counts[bucket] = (found.counts[bucket] ?? 0) + 1;
          found.sum += value;
          found.count += 1;
        },
      };
    },
    watch({ type = 'gauge', read, ...description }) {
      add(description, type, async () => {
        const reading = await read();
        const samples: Exclude<Reading, number> = typeof reading === 'number' ? [[{}, reading]] : reading;
        return samples.map(([labels, value]) => `${description.name}${writeLabels(labels)} ${value}`);
      });
    },
    async write() {
      const texts = await Promise.all(families.map((list) => list()));
      return texts.map((lines) => `${lines.join('\n')}\n`).join('');
    },
  };
}

interface HistogramSeries {
  labels: Labels;
  /** Of each bucket alone. */
  counts: number[];
  sum: number;
  count: number;
}

function listSeries(name: string, buckets: readonly number[], { labels, counts, sum, count }: HistogramSeries) {
  let below = 0;
  const lines = buckets.map((bound, index) => {
    below += counts[index] ?? 0;
    return `${name}_bucket${writeLabels({ ...labels, le: String(bound) })} ${below}`;
  });
  return [
    ...lines,
    `${name}_bucket${writeLabels({ ...labels, le: '+Inf' })} ${count}`,
    `${name}_sum${writeLabels(labels)} ${sum}`,
    `${name}_count${writeLabels(labels)} ${count}`,
  ];
}

function writeLabels(labels: Labels): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
}

function escapeLabel(text: string): string {
  return escapeHelp(text).replaceAll('"', String.raw`\"`);
}

function escapeHelp(text: string): string {
  return text.replaceAll('\\', String.raw`\\`).replaceAll('\n', String.raw`\n`);
}
