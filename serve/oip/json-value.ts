/**
 * Reading parsed JSON that anybody sent: the first thing that is wrong ends it, so that a body of a million mistakes costs
 * one message. `place` names the value in messages. Errors: 'request/invalid'.
 */
import { ProductError } from '../../shared/errors.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

export function refuse(message: string): never {
  throw new ProductError('request/invalid', message);
}

export function readObject(value: unknown, place: string): JsonObject {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  return refuse(`${place} is ${describeValue(value)}; an object is expected`);
}

export function readList(value: unknown, place: string): readonly unknown[] {
  if (Array.isArray(value)) return value as unknown[];
  return refuse(`${place} is ${describeValue(value)}; a list is expected`);
}

export function readText(value: unknown, place: string): string {
  if (typeof value === 'string') return value;
  return refuse(`${place} is ${describeValue(value)}; a string is expected`);
}

/** A whole number from 0 on that JSON carries exactly. */
export function readCount(value: unknown, place: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  return refuse(`${place} is ${describeValue(value)}; a whole number from 0 to 2^53 - 1 is expected`);
}

export function readFlag(value: unknown, place: string): boolean {
  if (typeof value === 'boolean') return value;
  return refuse(`${place} is ${describeValue(value)}; true or false is expected`);
}

/** In a few words, however long it is. */
export function describeValue(value: unknown): string {
  if (value === undefined) return 'missing';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = JSON.stringify(value);
  return text.length > 40 ? `${text.slice(0, 40)}...` : text;
}
