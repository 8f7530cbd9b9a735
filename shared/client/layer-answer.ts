/** What a layer puts out, in each of its forms, out of an answer. */
import { ACTIVATION_HEADERS, activationSchema, type Activation } from '../api.ts';
import { unexpectedAnswer } from './api-error.ts';
import { parseNpy } from './npy-array.ts';
import { parseAnswer, type Answer } from './transport.ts';

/** Values as they are. */
export interface ActivationArray {
  /** [height, width, channels], or [features]. */
  shape: readonly number[];
  /** Row-major; a copy. */
  values: Float32Array<ArrayBuffer>;
  /** Numbers of the channels, in their order in `values`. */
  channels: readonly number[];
}

/** Values in eight bits, each channel between its own least and greatest value. */
export interface ActivationAtlas {
  /** [channels, height, width] */
  shape: readonly number[];
  values: Uint8Array<ArrayBuffer>;
  /** [channels, 2]: the least and the greatest value of each. */
  ranges: Float32Array<ArrayBuffer>;
  channels: readonly number[];
}

export interface ActivationPicture {
  /** PNG: the channels in a grid, one pixel apart. */
  picture: Blob;
  /** The values that are black and white; of each channel its own with `range: 'channel'`. */
  min: number;
  max: number;
  /** Channels in a row. */
  columns: number;
  channels: readonly number[];
}

export interface ActivationForms {
  json: Activation;
  npy: ActivationArray;
  atlas: ActivationAtlas;
  png: ActivationPicture;
}

/** Errors: 'client/unexpected-answer'. */
export const ACTIVATION_READERS: { [Form in keyof ActivationForms]: (answer: Answer) => ActivationForms[Form] } = {
  json: (answer) => parseAnswer(answer, activationSchema),
  npy: (answer) => {
    const channels = readChannels(answer);
    try {
      return { ...parseNpy(answer.body), channels };
    } catch (error) {
      throw unexpectedAnswer(error, answer);
    }
  },
  atlas: (answer) => {
    const shape = readList(answer, ACTIVATION_HEADERS.shape);
    const size = shape.reduce((product, each) => product * each, 1);
    const rangeBytes = (shape[0] ?? 0) * 8;
    if (answer.body.byteLength !== rangeBytes + size) {
      throw unexpectedAnswer(`got ${answer.body.byteLength} bytes of an atlas of ${shape.join(' x ')}`, answer);
    }
    return {
      shape,
      values: new Uint8Array(answer.body, rangeBytes),
      ranges: new Float32Array(answer.body, 0, rangeBytes / 4),
      channels: readChannels(answer),
    };
  },
  png: (answer) => ({
    picture: new Blob([answer.body], { type: 'image/png' }),
    min: readNumber(answer, ACTIVATION_HEADERS.min),
    max: readNumber(answer, ACTIVATION_HEADERS.max),
    columns: readNumber(answer, ACTIVATION_HEADERS.columns),
    channels: readChannels(answer),
  }),
};

/** Errors: 'client/unexpected-answer' where it is missing or no finite number. */
export function readNumber(answer: Answer, name: string): number {
  const text = readHeader(answer, name);
  const value = text === '' ? Number.NaN : Number(text);
  if (!Number.isFinite(value)) throw unexpectedAnswer(`the header ${name} is no number: ${text}`, answer);
  return value;
}

/** Errors: 'client/unexpected-answer' where it is missing. */
function readHeader(answer: Answer, name: string): string {
  const value = answer.headers.get(name);
  if (value === null) throw unexpectedAnswer(`no header ${name}`, answer);
  return value;
}

function readChannels(answer: Answer): number[] {
  return readList(answer, ACTIVATION_HEADERS.channels);
}

/** `3,5,8-10` -> [3, 5, 8, 9, 10]; no layer is a million wide. Errors: 'client/unexpected-answer'. */
function readList(answer: Answer, name: string): number[] {
  const text = readHeader(answer, name);
  return text.split(',').flatMap((part) => {
    const [, first = '', last = first] = /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(part) ?? [];
    const count = first === '' ? 0 : Number(last) - Number(first) + 1;
    if (count < 1) throw unexpectedAnswer(`the header ${name} is no list of whole numbers: ${text}`, answer);
    return Array.from({ length: count }, (_, index) => Number(first) + index);
  });
}
