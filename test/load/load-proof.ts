/** Below the limit nothing fails, above it the server says so and goes on. */
import { problemSchema } from '../../shared/api.ts';
import { percentileOf, post, sendAtRate, type Answer, type OpenLoopResult } from './open-loop.ts';
import type { ServerProcess } from './server-process.ts';

/** Answers a second with `clients` callers that wait for each. */
export async function measureCapacity(
  server: ServerProcess,
  { body, clients, seconds }: { body: Uint8Array; clients: number; seconds: number },
): Promise<number> {
  const endMs = performance.now() + seconds * 1000;
  let answered = 0;
  await Promise.all(
    Array.from({ length: clients }, async () => {
      while (performance.now() < endMs) {
        const { status, body: text } = await post(`${server.url}/classify`, body);
        if (status !== 200) throw new Error(text);
        answered += 1;
      }
    }),
  );
  return answered / seconds;
}

export interface LoadOptions {
  body: Uint8Array;
  clients: number;
  perSecond: number;
  seconds: number;
  judge: (answer: Answer) => string | undefined;
}

/** The answers, with the server's resident memory in bytes, about once a second. */
export async function sendAndWatch(
  server: ServerProcess,
  options: LoadOptions,
): Promise<OpenLoopResult & { resident: number[] }> {
  const resident = [server.readResident()];
  const timer = setInterval(() => resident.push(server.readResident()), 1000);
  try {
    return { ...(await sendAtRate({ url: `${server.url}/classify`, ...options })), resident };
  } finally {
    clearInterval(timer);
  }
}

/** Above the limit: a good answer, or a refusal by its name with the time to come back. */
export function judgeOverload(judge: LoadOptions['judge']): LoadOptions['judge'] {
  return (answer) => {
    if (answer.status !== 503) return judge(answer);
    const { code } = problemSchema.parse(JSON.parse(answer.body));
    if (code !== 'server/busy') return `503 with ${code}`;
    return answer.headers['retry-after'] === '1' ? undefined : '503 without Retry-After';
  };
}

/**
 * Bytes of resident memory that a run may add behind its second tenth, when all threads have their models and buffers:
 * V8 and the allocator take and give back tens of megabytes, and a model that is not let go of in a swap is more.
 */
const RESIDENT_GROWTH_BYTES = 96e6;
const LEAST_LOOKS = 10;

/** Between the most in the second tenth and the least in the last one, so that what comes and goes is no growth. */
export function findGrowth({ resident }: { resident: readonly number[] }): string | undefined {
  if (resident.length < LEAST_LOOKS) return `${resident.length} looks at the memory are too few to judge it`;
  const tenth = Math.floor(resident.length / 10);
  const before = Math.max(...resident.slice(tenth, 2 * tenth));
  const after = Math.min(...resident.slice(-tenth));
  if (after - before <= RESIDENT_GROWTH_BYTES) return undefined;
  const [from, to, most] = [before, after, RESIDENT_GROWTH_BYTES].map((bytes) => Math.round(bytes / 1e6));
  return `resident memory grew from ${from} MB in the second tenth to ${to} MB in the last; ${most} MB more are allowed`;
}

export function describeLoad(
  name: string,
  { sent, byStatus, faultCount, latencies, resident }: OpenLoopResult & { resident: readonly number[] },
): string {
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((share) => percentileOf(latencies, share).toFixed(0));
  const megabytes = resident.map((bytes) => Math.round(bytes / 1e6));
  const fifth = megabytes[Math.floor(megabytes.length / 5)];
  return `${name}: ${sent} sent, ${JSON.stringify(byStatus)}, ${faultCount} wrong; p50 ${p50} ms, p95 ${p95} ms, p99 ${p99} ms; resident MB: ${fifth} after a fifth, ${megabytes.at(-1)} at the end, ${Math.max(...megabytes)} at most`;
}
