/** `history`: what answered when. */
import { readHistory } from '../store/channel-pointer.ts';
import type { ModelStore } from '../store/model-store.ts';
import { readPublishedManifest } from '../store/published-models.ts';
import {
  CHANNEL_HELP,
  CHANNEL_OPTION,
  JSON_HELP,
  parseCommandLine,
  STORE_HELP,
  type ReleaseCommand,
} from './command.ts';
import { formatTable } from './format-table.ts';
import { useStore } from './open-store.ts';

const HEADINGS = ['seq', 'time (UTC)', 'action', 'champion', 'replaced'];

export const historyCommand: ReleaseCommand = {
  summary: 'what answered when',
  usage: `npm run release -- history [options]

Lists all changes of a channel, newest first. Times are by the clocks of the machines that made the changes.

${CHANNEL_HELP}
${STORE_HELP}
${JSON_HELP}`,

  async run(args, { print, environment }) {
    const line = parseCommandLine(args, { words: [], options: CHANNEL_OPTION });
    await useStore(line.store, { environment }, async (store) => {
      const changes = (await readHistory(store, line.channel)).toReversed();
      if (line.isJson) return print(JSON.stringify(changes));
      if (changes.length === 0) return print(`channel ${line.channel} was never changed: it serves the shipped model`);
      const names = await readNames(
        store,
        changes.flatMap(({ champion, replaced }) => [champion, replaced]),
      );
      const rows = changes.map(({ seq, at, action, champion, replaced }) => [
        String(seq),
        at.slice(0, 19).replace('T', ' '),
        action,
        describe(champion, names),
        describe(replaced, names),
      ]);
      print(formatTable([HEADINGS, ...rows]));
    });
  },
};

/** A model whose manifest is gone or damaged still was the champion: it is listed without a name. */
async function readNames(store: ModelStore, champions: (string | null)[]): Promise<Map<string, string>> {
  const names = new Map<string, string>();
  for (const id of new Set(champions)) {
    if (id === null) continue;
    const manifest = await readPublishedManifest(store, id).catch(() => undefined);
    names.set(id, manifest?.name ?? '(not in the store)');
  }
  return names;
}

function describe(champion: string | null, names: ReadonlyMap<string, string>): string {
  return champion === null ? 'shipped' : `${champion.slice(0, 8)} ${names.get(champion) ?? ''}`;
}
