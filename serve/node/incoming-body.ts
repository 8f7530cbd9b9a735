/** The body of a request as Node has it. */
import type { IncomingMessage } from 'node:http';
import type { BodySource } from '../request/body-source.ts';

/** Its chunks are what has arrived meanwhile, joined. Memory: as much as the socket's own buffers hold. */
export function readIncoming(incoming: IncomingMessage): BodySource {
  return {
    async read() {
      for (;;) {
        const chunk = incoming.read() as Buffer | null;
        if (chunk !== null) return chunk;
        if (incoming.readableEnded) return undefined;
        if (incoming.destroyed) throw incoming.errored ?? new Error('the connection was closed');
        await waitForChange(incoming);
      }
    },
    async cancel() {
      incoming.destroy();
    },
  };
}

const CHANGES = ['readable', 'end', 'error', 'close'] as const;

/** Until there may be something to read, or there never will be. */
function waitForChange(incoming: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    const stop = (): void => {
      for (const change of CHANGES) incoming.off(change, stop);
      resolve();
    };
    for (const change of CHANGES) incoming.on(change, stop);
  });
}
