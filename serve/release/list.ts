/** `list`: what is published. */
import { MANIFEST_FILE } from '../../shared/manifest.ts';
import { modelFilePath } from '../../shared/store.ts';
import { readChannel } from '../store/channel-pointer.ts';
import { listPublished, readMeasuredAccuracy, readPublishedManifest } from '../store/published-models.ts';
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

const HEADINGS = ['model', 'name', 'MB', 'accuracy', ''];

export const listCommand: ReleaseCommand = {
  summary: 'what is published',
  usage: `npm run release -- list [options]

Lists the models of a store with their size and their measured accuracy, and marks the champion of the channel.

${CHANNEL_HELP}
${STORE_HELP}
${JSON_HELP}`,

  async run(args, { print, environment }) {
    const line = parseCommandLine(args, { words: [], options: CHANNEL_OPTION });
    await useStore(line.store, { environment }, async (store) => {
      const { champion } = (await readChannel(store, line.channel)).channel;
      const models = await Promise.all(
        (await listPublished(store)).map(async (modelId) => {
          const manifest = await readPublishedManifest(store, modelId).catch(() => undefined);
          const accuracy = await readMeasuredAccuracy(store, modelId).catch(() => undefined);
          const sizeBytes = manifest?.files.reduce((sum, file) => sum + file.sizeBytes, 0);
          return { modelId, name: manifest?.name, sizeBytes, accuracy, isChampion: modelId === champion };
        }),
      );
      if (line.isJson) return print(JSON.stringify(models));
      if (models.length === 0) return print(`nothing is published in ${store.name}`);
      const rows = models.map(({ modelId, name, sizeBytes, accuracy, isChampion }) => [
        modelId.slice(0, 8),
        name ?? `(${modelFilePath(modelId, MANIFEST_FILE)} is damaged)`,
        sizeBytes === undefined ? '' : (sizeBytes / 1e6).toFixed(2),
        accuracy === undefined ? 'not measured' : `${(100 * accuracy).toFixed(2)} %`,
        isChampion ? `champion of ${line.channel}` : '',
      ]);
      print(formatTable([HEADINGS, ...rows]));
      if (champion === null) print(`the champion of ${line.channel} is the shipped model`);
    });
  },
};
