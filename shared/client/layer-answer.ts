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
    const shape = readHeader(answer, ACTIVATION_HEADERS.shape).split(',').map(Number);
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
    min: Number(readHeader(answer, ACTIVATION_HEADERS.min)),
    max: Number(readHeader(answer, ACTIVATION_HEADERS.max)),
    columns: Number(readHeader(answer, ACTIVATION_HEADERS.columns)),
    channels: readChannels(answer),
  }),
};

/** Errors: 'client/unexpected-answer' where it is missing. */
export function readHeader(answer: Answer, name: string): string {
  const value = answer.headers.get(name);
  if (value === null) throw unexpectedAnswer(`no header ${name}`, answer);
  return value;
}

/** `3,5,8-10` -> [3, 5, 8, 9, 10] */
function readChannels(answer: Answer): number[] {
  return readHeader(answer, ACTIVATION_HEADERS.channels)
    .split(',')
    .flatMap((part) => {
      const [first = Number.NaN, last = first] = part.split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, index) => first + index);
    });
}
