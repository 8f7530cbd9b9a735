/** Inputs to one server, several at once where the caller wants it, and a good picture after every few: it is answered as it was at first. */
import { inspect } from 'node:util';
import { encodePng } from '../../shared/image/png-encode.ts';
import { findFault, parseDocument, type Answer } from './check-answer.ts';
import { castDice } from './dice.ts';
import { drawRequest, type FuzzRequest } from './draw-request.ts';
import type { FuzzedServer } from './fuzzed-server.ts';
import { drawSoundPicture } from './mutate-image.ts';
import { drawBytes } from './mutate-bytes.ts';

export interface Finding {
  index: number;
  request: Pick<FuzzRequest, 'kind' | 'method' | 'path'>;
  fault: string;
  /** Inputs that may have caused it: what the server reports is of any that was in work. */
  suspects: readonly number[];
}

/** One input in so many goes through the socket; the others are given to the app as they are. */
const SOCKET_INPUTS = 20;

export interface InputRunner {
  /** What is wrong with the answer, or undefined. */
  run(index: number): Promise<Finding | undefined>;
  /** The same for the sound pictures that follow a block of inputs. */
  checkLife(index: number): Promise<Finding | undefined>;
  /** How many answers had each status. */
  statuses: ReadonlyMap<number, number>;
}

export async function openRunner(server: FuzzedServer, { seed }: { seed: number }): Promise<InputRunner> {
  const document = parseDocument(await (await server.answer(new Request(`${server.url}/openapi.json`))).json());
  const sound = await drawSoundRequests();
  const expected = await Promise.all(sound.map((request) => ask(server, request)));
  const statuses = new Map<number, number>();
  const inWork = new Set<number>();
  return {
    statuses,
    async run(index) {
      const request = drawRequest(seed, index);
      inWork.add(index);
      try {
        const answer = await ask(server, request, { overSocket: index % SOCKET_INPUTS === 0 });
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        const [fault, reports] = [findFault(document, request, answer), takeReports(server)];
        return judge({
          index,
          request,
          faults: [fault, reports],
          suspects: reports === undefined ? [index] : [...inWork],
        });
      } finally {
        inWork.delete(index);
      }
    },
    async checkLife(index) {
      for (const [place, request] of sound.entries()) {
        const answer = await ask(server, request, { overSocket: place % 2 === 0 });
        const isSame = answer.status === 200 && answer.body === expected[place]?.body;
        const fault = isSame
          ? undefined
          : `a sound request is answered with ${answer.status} ${answer.body.slice(0, 300)}`;
        const finding = judge({ index, request, faults: [fault, takeReports(server)], suspects: [index] });
        if (finding !== undefined) return finding;
      }
      return undefined;
    },
  };
}

/** All that the server has reported since this was last asked. */
function takeReports(server: FuzzedServer): string | undefined {
  const reports = server.reported.splice(0).map((reported) => inspect(reported).slice(0, 1500));
  return reports.length === 0 ? undefined : `the server reports ${reports.join('\nand ')}`;
}

interface Judged extends Pick<Finding, 'index' | 'suspects'> {
  request: FuzzRequest;
  faults: readonly (string | undefined)[];
}

function judge({ index, request, faults, suspects }: Judged): Finding | undefined {
  const found = faults.filter((fault) => fault !== undefined);
  if (found.length === 0) return undefined;
  const { kind, method, path } = request;
  return { index, request: { kind, method, path: path.slice(0, 300) }, fault: found.join('\n'), suspects };
}

async function ask(server: FuzzedServer, request: FuzzRequest, { overSocket = false } = {}): Promise<Answer> {
  const { method, path, headers, body } = request;
  const url = `${server.url}${path}`;
  const init = { method, headers, ...(body === undefined ? {} : { body }), redirect: 'manual' as const };
  const response = await (overSocket ? fetch(url, init) : server.answer(new Request(url, init)));
  return { status: response.status, headers: response.headers, body: await response.text() };
}

/** A picture of each kind and an inference, the same for every seed. */
async function drawSoundRequests(): Promise<FuzzRequest[]> {
  const dice = castDice(0, 0);
  const pixels = drawBytes(dice, 40 * 24 * 3);
  const pictures = [
    await encodePng({ width: 40, height: 24, channels: 3, pixels }),
    ...Array.from({ length: 6 }, () => drawSoundPicture(dice)),
  ];
  const post = (path: string, body: FuzzRequest['body']): FuzzRequest => ({
    kind: 'sound',
    method: 'POST',
    path,
    headers: {},
    body,
  });
  return [
    ...pictures.map((picture) => post('/classify?top_k=10', picture)),
    { ...post('/v2/models/resnet18/infer', drawBytes(dice, 192)), headers: { 'inference-header-content-length': '0' } },
  ];
}
