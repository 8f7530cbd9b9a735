/** The suite: look at the server, ask every question, and after each whether the server still lives. */
import { z } from 'zod';
import { BINARY_CASES } from './binary-cases.ts';
import { INFERENCE_CASES } from './inference-cases.ts';
import { demand, Deviation, NotApplicable, type OipCase } from './oip-case.ts';
import * as oip from './oip-target.ts';
import { REFUSAL_CASES } from './refusal-cases.ts';
import { SERVER_CASES } from './server-cases.ts';

const ALL_CASES = [...SERVER_CASES, ...INFERENCE_CASES, ...REFUSAL_CASES, ...BINARY_CASES];
/** Section by section. */
export const OIP_CASES: readonly OipCase[] = [...Map.groupBy(ALL_CASES, ({ section }) => section).values()].flat();

export interface CaseResult {
  case: OipCase;
  outcome: 'pass' | 'fail' | 'not applicable';
  /** Why it is not a pass. */
  reason: string;
}

export interface TargetOptions {
  send: oip.Send;
  /** Default: the first READY one of the repository index, or of v2/models. */
  model?: string | undefined;
  shapes?: oip.OipTarget['shapes'];
}

/** Errors: a Deviation where there is no server or no model to ask about. */
export async function openTarget({ send, model, shapes = {} }: TargetOptions): Promise<oip.OipTarget> {
  const name = model ?? (await findModel(send));
  const { extensions } = await oip.readBody(await send('v2'), oip.serverMetadataSchema);
  const metadata = await oip.readBody(await send(oip.modelPath(name)), oip.modelMetadataSchema);
  return { send, model: name, metadata, extensions, shapes };
}

async function findModel(send: oip.Send): Promise<string> {
  const index = await send('v2/repository/index', { method: 'POST' });
  if (index.status === 200) {
    const entries = await oip.readBody(index, z.array(z.object({ name: z.string(), state: z.string().optional() })));
    const found = entries.find(({ state = 'READY' }) => state === 'READY');
    if (found !== undefined) return found.name;
  }
  const list = await send('v2/models');
  const [first] =
    list.status === 200 ? (await oip.readBody(list, z.object({ models: z.array(z.string()) }))).models : [];
  demand(first !== undefined, 'the server does not list its models; name one with --model');
  return first;
}

export async function runCase(target: oip.OipTarget, each: OipCase): Promise<CaseResult> {
  try {
    await each.run(target);
    const live = await target.send('v2/health/live');
    await live.arrayBuffer();
    demand(live.status === 200, `the server is not live afterwards: status ${live.status}`);
    return { case: each, outcome: 'pass', reason: '' };
  } catch (error) {
    if (error instanceof NotApplicable) return { case: each, outcome: 'not applicable', reason: error.message };
    const reason = error instanceof Deviation ? error.message : `no answer: ${String(error)}`;
    return { case: each, outcome: 'fail', reason };
  }
}
