/** `rollback`: the champion before becomes the champion again; at the end of them, the shipped model. */
import { ProductError } from '../../shared/errors.ts';
import type { Channel } from '../../shared/store.ts';
import { changeChannel, describeChampion, readChannel, type ChannelPlan } from '../store/channel-pointer.ts';
import { readPublished } from '../store/published-models.ts';
import {
  CHANNEL_HELP,
  CHANNEL_OPTION,
  JSON_HELP,
  parseCommandLine,
  STORE_HELP,
  type ReleaseCommand,
} from './command.ts';
import { useStore } from './open-store.ts';
import { reportRecordProblem } from './report-change.ts';

export const rollbackCommand: ReleaseCommand = {
  summary: 'go back to the champion before',
  usage: `npm run release -- rollback [options]

Makes the champion before the one that answers; again, the one before that; at the end the model that the server is
shipped with. The way forward is "promote".

${CHANNEL_HELP}
${STORE_HELP}
${JSON_HELP}`,

  async run(args, { print, report, environment }) {
    const line = parseCommandLine(args, { words: [], options: CHANNEL_OPTION });
    await useStore(line.store, { environment }, async (store) => {
      const from = await readChannel(store, line.channel);
      const { champion: replaced } = from.channel;
      const { champion, previous } = stepBack(from.channel, line.channel);
      if (champion !== null) await readPublished(store, champion);
      const plan: ChannelPlan = { action: 'rollback', champion, previous };
      const made = await changeChannel({ store, name: line.channel, from, plan, now: new Date() });
      reportRecordProblem(made, report);
      if (line.isJson) return print(JSON.stringify({ ...made.change, changed: true }));
      print(
        `${describeChampion(champion)} is the champion of ${line.channel} again: change ${made.change.seq}\nit replaces ${describeChampion(replaced)}`,
      );
    });
  },
};

/** Before the first of `previous` there was the shipped model. */
function stepBack({ champion, previous }: Channel, name: string): Pick<Channel, 'champion' | 'previous'> {
  const [before, ...earlier] = previous;
  if (before !== undefined) return { champion: before, previous: earlier };
  if (champion !== null) return { champion: null, previous: [] };
  throw new ProductError(
    'store/nothing-to-roll-back',
    `channel ${name} serves the shipped model, and nothing was before it; promote a model to change that`,
  );
}
