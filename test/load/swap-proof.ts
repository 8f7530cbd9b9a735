/** Champions that change under load: every answer is whole, and is the answer of the model that it names. */
import { classificationSchema } from '../../shared/api.ts';
import { sendAtRate, post, type OpenLoopResult } from './open-loop.ts';
import type { ServerProcess } from './server-process.ts';
import type { TwoModels } from './two-models.ts';

const LONGEST_SECONDS = 86_400;
/** From a promotion to the first answer of that model: it is loaded, on a machine that is busy. */
const SWAP_PATIENCE_MS = 60_000;

export interface SwapOptions {
  body: Uint8Array;
  swaps: number;
  perSecond: number;
  clients: number;
  patienceMs?: number;
}

/**
 * Of a server that looks at its pointer with every request. `perSecond` requests go on until the last swap is done.
 * Throws when the server does not follow in time.
 */
export async function swapUnderLoad(
  server: ServerProcess,
  models: TwoModels,
  { body, swaps, perSecond, clients, patienceMs = SWAP_PATIENCE_MS }: SwapOptions,
): Promise<OpenLoopResult & { resident: number[]; seconds: number }> {
  const url = `${server.url}/classify`;
  const resident: number[] = [];
  const startMs = performance.now();
  const over = new AbortController();
  const load = sendAtRate({
    url,
    body,
    perSecond,
    seconds: LONGEST_SECONDS,
    signal: over.signal,
    clients,
    judge: models.judge,
  });
  const swapped = (async () => {
    try {
      for (let swap = 1; swap <= swaps; swap++) {
        const wanted = models.ids[swap % 2] ?? '';
        await models.promote(wanted);
        for (const endMs = performance.now() + patienceMs; ;) {
          const answer = await post(url, body);
          const fault = models.judge(answer);
          if (fault !== undefined) throw new Error(`after swap ${swap}: ${fault}`);
          const { model } = classificationSchema.parse(JSON.parse(answer.body));
          if (model.id === wanted) break;
          if (performance.now() > endMs) {
            throw new Error(
              `swap ${swap}: ${patienceMs} ms after the promotion of ${wanted} the server answers with ${model.id}`,
            );
          }
        }
        resident.push(server.readResident());
      }
    } finally {
      over.abort();
    }
  })();
  const [result] = await Promise.all([load, swapped]);
  return { ...result, resident, seconds: (performance.now() - startMs) / 1000 };
}
