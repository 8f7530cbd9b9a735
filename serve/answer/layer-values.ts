/** What a layer put out for one picture, and some channels of it. */

export interface LayerValues {
  /** [height, width, channels], or [features]: each feature is then a channel of one value */
  shape: readonly number[];
  /** row-major */
  values: Float32Array;
}

export interface Extent {
  min: number;
  max: number;
}

export function sizesOf(shape: readonly number[]): {
  height: number;
  width: number;
  channels: number;
  /** height x width */
  places: number;
} {
  const [height, width, channels] = shape.length === 3 ? shape : [1, 1, shape[0]];
  if (height === undefined || width === undefined || channels === undefined) {
    throw new Error(`internal: a layer of shape [${shape.join(', ')}] cannot be shown`);
  }
  return { height, width, channels, places: height * width };
}

export function isVector({ shape }: Pick<LayerValues, 'shape'>): boolean {
  return shape.length === 1;
}

/** Extremes of every `step`-th value from `first` on. */
export function extentOf(values: Float32Array, { first = 0, step = 1 } = {}): Extent {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (let index = first; index < values.length; index += step) {
    const value = values[index] as number;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return { min, max };
}

/** The same layer with these channels only, in this order: [height, width, picked], or [picked]. A copy. */
export function pickChannels({ shape, values }: LayerValues, picked: readonly number[]): LayerValues {
  const { channels, places } = sizesOf(shape);
  const result = new Float32Array(places * picked.length);
  for (let place = 0; place < places; place++) {
    picked.forEach((channel, index) => {
      result[place * picked.length + index] = values[place * channels + channel] as number;
    });
  }
  return { shape: [...shape.slice(0, -1), picked.length], values: result };
}

/** 0 for the least, 255 for the greatest value; 0 where they are the same. */
export function toByte(value: number, { min, max }: Extent): number {
  return max > min ? Math.round(((value - min) / (max - min)) * 255) : 0;
}
