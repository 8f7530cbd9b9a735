/** How a request says which model is to answer: the two parameters of every route that runs one. */
import { z } from '@hono/zod-openapi';
import { DEFAULT_CHANNEL } from '../../shared/store.ts';
import { ALIASES, SHORTEST_PREFIX } from '../model-pool/model-names.ts';
import type { ProblemCode } from '../problem.ts';

/** Fields of a query. */
export const CHOICE_FIELDS = {
  model: z
    .string()
    .optional()
    .openapi({
      param: {
        description: `Which model is to answer: its id, the first ${SHORTEST_PREFIX} or more digits of it, or ${ALIASES.join(', ')}. Default: the champion of the channel.`,
      },
    }),
  channel: z
    .string()
    .optional()
    .openapi({ param: { description: `The channel whose champion is to answer. Default ${DEFAULT_CHANNEL}.` } }),
};

/** What can be wrong with them. */
export const CHOICE_PROBLEMS = ['model/unknown', 'channel/unknown'] as const satisfies readonly ProblemCode[];
