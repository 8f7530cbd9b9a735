/** The V8 heap of a Worker's isolate, read over the inspector of `wrangler dev`. */

export interface IsolateHeap {
  usedBytes: number;
  committedBytes: number;
}

export interface IsolateInspector {
  readHeap(): Promise<IsolateHeap>;
  collectGarbage(): Promise<void>;
  close(): void;
}

interface Reply {
  id?: number;
  result?: Record<string, number>;
  error?: { message: string };
}

export async function openInspector(port: number): Promise<IsolateInspector> {
  // wrangler's inspector takes connections of its own machine only, and tells them by this header; undici can set it.
  const options = { headers: { origin: 'http://localhost' } } as unknown as string[];
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, options);
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve());
    socket.addEventListener('error', () => reject(new Error(`no inspector answers on port ${port}`)));
  });
  const waiting = new Map<number, (reply: Reply) => void>();
  let last = 0;
  socket.addEventListener('message', ({ data }) => {
    const reply = JSON.parse(String(data)) as Reply;
    if (reply.id !== undefined) waiting.get(reply.id)?.(reply);
  });
  const call = async (method: string): Promise<Record<string, number>> => {
    const id = ++last;
    const { promise, resolve } = Promise.withResolvers<Reply>();
    waiting.set(id, resolve);
    socket.send(JSON.stringify({ id, method }));
    const { result, error } = await promise;
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result ?? {};
  };
  await call('Runtime.enable');
  return {
    async readHeap() {
      const { usedSize = 0, totalSize = 0 } = await call('Runtime.getHeapUsage');
      return { usedBytes: usedSize, committedBytes: totalSize };
    },
    async collectGarbage() {
      await call('HeapProfiler.collectGarbage');
    },
    close: () => socket.close(),
  };
}
