/**
 * Callers that come at their own pace, whether or not the server keeps up: each request has its moment, and its time is
 * counted from that moment, also when all connections are in use then. (autocannon's rate sends each second's requests at
 * its beginning and waits for answers, so it cannot say this.)
 */
import { Agent, request } from 'node:http';

export interface Answer {
  status: number;
  headers: NodeJS.Dict<string | string[]>;
  body: string;
}

export interface OpenLoopOptions {
  url: string;
  body: Uint8Array;
  perSecond: number;
  seconds: number;
  /** Ends it earlier. */
  signal?: AbortSignal;
  /** Connections; a request that finds none waits for one. */
  clients: number;
  /** What is wrong with an answer; undefined: nothing. */
  judge: (answer: Answer) => string | undefined;
}

export interface OpenLoopResult {
  sent: number;
  byStatus: Record<string, number>;
  /** What was wrong, each once. */
  faults: string[];
  faultCount: number;
  /** Milliseconds from the moment of a request to the end of its answer, of answers with status 200, sorted. */
  latencies: number[];
}

/** Settles when all are answered. */
export async function sendAtRate(options: OpenLoopOptions): Promise<OpenLoopResult> {
  const { url, body, perSecond, seconds, signal, clients, judge } = options;
  const agent = new Agent({ keepAlive: true, maxSockets: clients });
  const result: OpenLoopResult = { sent: 0, byStatus: {}, faults: [], faultCount: 0, latencies: [] };
  const startMs = performance.now();
  const running = new Set<Promise<void>>();

  async function send(dueMs: number): Promise<void> {
    let fault: string | undefined;
    try {
      const answer = await post(url, body, agent);
      result.byStatus[answer.status] = (result.byStatus[answer.status] ?? 0) + 1;
      if (answer.status === 200) result.latencies.push(performance.now() - dueMs);
      fault = judge(answer);
    } catch (error) {
      result.byStatus['error'] = (result.byStatus['error'] ?? 0) + 1;
      fault = String(error);
    }
    if (fault === undefined) return;
    result.faultCount += 1;
    if (!result.faults.includes(fault) && result.faults.length < 10) result.faults.push(fault);
  }

  const total = Math.round(perSecond * seconds);
  while (result.sent < total) {
    if (signal?.aborted === true) break;
    const dueMs = startMs + (result.sent * 1000) / perSecond;
    const waitMs = dueMs - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    const work = send(dueMs).finally(() => running.delete(work));
    running.add(work);
    result.sent += 1;
  }
  await Promise.all(running);
  agent.destroy();
  result.latencies.sort((a, b) => a - b);
  return result;
}

export function percentileOf(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** A request that is never answered is a fault too; one above the limit waits for a connection first. */
const ANSWER_PATIENCE_MS = 120_000;

export function post(url: string, body: Uint8Array, agent?: Agent): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(ANSWER_PATIENCE_MS);
    const headers = { 'content-length': body.length };
    const outgoing = request(url, { method: 'POST', agent, signal, headers }, (incoming) => {
      const parts: Buffer[] = [];
      incoming.on('data', (part: Buffer) => parts.push(part));
      incoming.on('error', reject);
      incoming.on('end', () =>
        resolve({
          status: incoming.statusCode ?? 0,
          headers: incoming.headers,
          body: Buffer.concat(parts).toString(),
        }),
      );
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}
