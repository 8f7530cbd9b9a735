/**
 * Loaded into a process before its program (`--import`, with `--expose-gc`): on SIGUSR2 it says how many bytes its old
 * generation holds, when what is young and dead has been collected.
 */
import { getHeapSpaceStatistics } from 'node:v8';
import { isMainThread } from 'node:worker_threads';

if (isMainThread) {
  process.on('SIGUSR2', () => {
    const { gc } = globalThis;
    if (gc === undefined) throw new Error('this process needs --expose-gc');
    // What survives two of them is old.
    for (let round = 0; round < 2; round++) gc({ type: 'minor' });
    const { space_used_size: bytes } = getHeapSpaceStatistics().find((each) => each.space_name === 'old_space') ?? {};
    console.log(`old space: ${bytes} bytes`);
  });
}
