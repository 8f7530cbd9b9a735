/** `promote`: a published model becomes the champion of a channel. */
import { assertModelFits, MODEL_BUDGET_BYTES, PLATFORMS, type Platform } from '../../shared/engine/memory-budget.ts';
import { openModelFiles } from '../inference/model-files.ts';
import { changeChannel, describeChampion, readChannel, type ChannelPlan } from '../store/channel-pointer.ts';
import { findModel, readPublished } from '../store/published-models.ts';
import {
  CHANNEL_HELP,
  CHANNEL_OPTION,
  JSON_HELP,
  parseCommandLine,
  STORE_HELP,
  usageError,
  type CommandLine,
  type ReleaseCommand,
} from './command.ts';
import { isBucket, useStore } from './open-store.ts';
import { reportRecordProblem } from './report-change.ts';

export const promoteCommand: ReleaseCommand = {
  summary: 'make a published model the champion',
  usage: `npm run release -- promote ID [options]

Makes a published model the one that answers. Servers notice within seconds. Of two at once, one is told that the other
was first (store/changed) and changes nothing.

  ID                   the model's id, or its first 8 digits or more
  --for PLATFORM       worker or node: a model that does not fit into its memory is refused (model/too-large; see "npm
                       run model -- plan"). Default: node for a folder, which only Node serves, worker for buckets
${CHANNEL_HELP}
${STORE_HELP}
${JSON_HELP}`,

  async run(args, { print, report, environment }) {
    const line = parseCommandLine(args, { words: ['ID'], options: { ...CHANNEL_OPTION, for: { type: 'string' } } });
    const platform = choosePlatform(line);
    await useStore(line.store, { environment }, async (store) => {
      const from = await readChannel(store, line.channel);
      const champion = await findModel(store, line.words[0] ?? '');
      const { name } = await readPublished(store, champion);
      const { seq, champion: replaced, previous } = from.channel;
      if (champion === replaced) {
        if (line.isJson) return print(JSON.stringify({ champion, name, seq, changed: false }));
        return print(
          `${name} (${champion.slice(0, 8)}) is the champion of ${line.channel} already; nothing was changed`,
        );
      }
      const { totalBytes } = await (await openModelFiles(store, champion)).planMemory('fast');
      assertModelFits(`${name} (${champion.slice(0, 8)})`, totalBytes, MODEL_BUDGET_BYTES[platform]);
      const plan: ChannelPlan = { action: 'promote', champion, previous: [replaced, ...previous] };
      const made = await changeChannel({ store, name: line.channel, from, plan, now: new Date() });
      reportRecordProblem(made, report);
      if (line.isJson) return print(JSON.stringify({ ...made.change, name, changed: true }));
      print(
        `${name} (${champion.slice(0, 8)}) is the champion of ${line.channel} now: change ${made.change.seq}\nit replaces ${describeChampion(replaced)}`,
      );
    });
  },
};

/** Whose memory counts: a folder is served by Node only, a bucket by Workers. Errors: 'cli/usage'. */
function choosePlatform({ flags: { for: named }, store }: CommandLine): Platform {
  if (named === undefined) return isBucket(store) ? 'worker' : 'node';
  const platform = PLATFORMS.find((each) => each === named);
  if (platform !== undefined) return platform;
  throw usageError(`--for ${String(named)} is not known; possible: ${PLATFORMS.join(', ')}`);
}
