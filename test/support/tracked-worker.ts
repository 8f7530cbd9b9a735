/**
 * The Worker of the product, with an eye on what JavaScript can see of its memory outside the V8 heap: the WebAssembly
 * memories that live, and byte arrays of 1 MB and more. GET /tracked-memory answers with what there is now, and with the
 * largest sum since the last time.
 */
import { readTrackedMemory } from './memory-tracker.ts';
import worker from '../../serve/worker.ts';

export default {
  fetch(...values: Parameters<typeof worker.fetch>): ReturnType<typeof worker.fetch> {
    const [request] = values;
    if (new URL(request.url).pathname === '/tracked-memory') return Response.json(readTrackedMemory());
    return worker.fetch(...values);
  },
};
