/** `promote`: a published model becomes the champion of a channel. */
import { assertModelFits, MODEL_BUDGET_BYTES, PLATFORMS, type Platform } from '../../shared/engine/memory-budget.ts';
import { openModelFiles } from '../inference/model-files.ts';
import { changeChannel, describeChampion, readChannel, type ChannelPlan } from '../store/channel-pointer.ts';
import type { ModelStore } from '../store/model-store.ts';
import { findModel, readMeasuredAccuracy, readPublished } from '../store/published-models.ts';
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

Makes a published model the one that answers, once all its files are read and right. Servers notice within seconds. Of two
at once, one is told that the other was first (store/changed) and changes nothing.

  ID                   the model's id, its first 8 digits or more, or "shipped" for the model that the server is shipped with
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
      const word = line.words[0] ?? '';
      const champion = word === SHIPPED ? null : await findModel(store, word);
      const name = champion === null ? SHIPPED : (await readPublished(store, champion)).name;
      const title = champion === null ? describeChampion(null) : `${name} (${champion.slice(0, 8)})`;
      const { seq, champion: replaced, previous } = from.channel;
      if (champion === replaced) {
        if (line.isJson) return print(JSON.stringify({ champion, name, seq, changed: false }));
        return print(`${title} is the champion of ${line.channel} already; nothing was changed`);
      }
      if (champion !== null) await assertServable(store, champion, { title, platform });
      const plan: ChannelPlan = { action: 'promote', champion, previous: [replaced, ...previous] };
      const made = await changeChannel({ store, name: line.channel, from, plan, now: new Date() });
      reportRecordProblem(made, report);
      if (line.isJson) return print(JSON.stringify({ ...made.change, name, changed: true }));
      print(
        `${title} is the champion of ${line.channel} now: change ${made.change.seq}\nit replaces ${describeChampion(replaced)}`,
      );
      if (champion === null) return;
      const accuracy = await readMeasuredAccuracy(store, champion).catch(() => undefined);
      if (accuracy === undefined) print('nobody has measured it: npm run model -- evaluate, then publish it again');
    });
  },
};

/** How the model that the server is shipped with is called here, and in addresses. */
const SHIPPED = 'shipped';

/** Errors: 'model/too-large', 'model/damaged', 'model/missing', 'model/unsupported'. */
async function assertServable(
  store: ModelStore,
  modelId: string,
  { title, platform }: { title: string; platform: Platform },
): Promise<void> {
  const files = await openModelFiles(store, modelId);
  const { totalBytes } = await files.planMemory('fast');
  assertModelFits(title, totalBytes, MODEL_BUDGET_BYTES[platform]);
  await files.verify();
}

/** Whose memory counts: a folder is served by Node only, a bucket by Workers. Errors: 'cli/usage'. */
function choosePlatform({ flags: { for: named }, store }: CommandLine): Platform {
  if (named === undefined) return isBucket(store) ? 'worker' : 'node';
  const platform = PLATFORMS.find((each) => each === named);
  if (platform !== undefined) return platform;
  throw usageError(`--for ${String(named)} is not known; possible: ${PLATFORMS.join(', ')}`);
}
