/**
 * One question to a server of the Open Inference Protocol v2, and what the answer must be. `must`: the protocol's text, or
 * that of an extension which the server announces, demands it. `should`: the text leaves it open or is unclear; clients
 * are safer with it.
 */
import type { OipTarget } from './oip-target.ts';

export interface OipCase {
  name: string;
  /** Heading of the protocol's text (inference_rest.md), or the extension. */
  section: string;
  level: 'must' | 'should';
  /** Throws a Deviation or a NotApplicable. */
  run: (target: OipTarget) => Promise<void>;
}

/** What the server did instead. */
export class Deviation extends Error {
  override readonly name = 'Deviation';
}

/** Why the question does not make sense for this server or model. */
export class NotApplicable extends Error {
  override readonly name = 'NotApplicable';
}

export function demand(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Deviation(message);
}

/** The case is for servers and models of which this is true. */
export function given(condition: boolean, otherwise: string): asserts condition {
  if (!condition) throw new NotApplicable(otherwise);
}

/** A value in a message. */
export function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 160 ? `${text.slice(0, 160)}...` : text;
}
