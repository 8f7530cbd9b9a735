/** Pooling over windows and over whole maps, and option A of the shortcuts; `channels` and `count` in lanes. */
import { defineKernel, defineLaneKernels, FLAT_INDEX, THREADS_PER_GROUP } from './kernel.ts';

const WINDOW_FIELDS = {
  count: 'u32',
  height: 'u32',
  width: 'u32',
  outHeight: 'u32',
  outWidth: 'u32',
  channels: 'u32',
  size: 'u32',
  stride: 'u32',
  padding: 'u32',
} as const;

/** Place of an element in a map of that size. */
function locate(height: string, width: string): string {
  return `
  let channel = index % p.channels;
  let column = index / p.channels % ${width};
  let line = index / p.channels / ${width} % ${height};
  let image = index / p.channels / ${width} / ${height};`;
}

/** x [batch, height, width, channels] -> y [batch, outHeight, outWidth, channels], `count` of them */
export const MAX_POOL = defineLaneKernels((lane) =>
  defineKernel({
    name: 'max pool',
    fields: WINDOW_FIELDS,
    reads: { x: lane },
    writes: { y: lane },
    threads: THREADS_PER_GROUP,
    body: `${FLAT_INDEX}
  ${locate('p.outHeight', 'p.outWidth')}
  // The least float32: no window lies wholly outside of the map.
  var largest = ${lane}(-0x1.fffffep+127);
  for (var tap = 0u; tap < p.size * p.size; tap++) {
    let y0 = i32(line * p.stride + tap / p.size) - i32(p.padding);
    let x0 = i32(column * p.stride + tap % p.size) - i32(p.padding);
    if (y0 >= 0 && y0 < i32(p.height) && x0 >= 0 && x0 < i32(p.width)) {
      largest = max(largest, x[((image * p.height + u32(y0)) * p.width + u32(x0)) * p.channels + channel]);
    }
  }
  y[index] = largest;`,
  }),
);

/** Each pixel collects from the windows whose first largest value it is; dx [batch, height, width, channels], `count`. */
export const MAX_POOL_GRADIENT = defineKernel({
  name: 'max pool gradient',
  fields: WINDOW_FIELDS,
  reads: { dy: 'f32', x: 'f32', y: 'f32' },
  writes: { dx: 'f32' },
  threads: THREADS_PER_GROUP,
  declarations: `
fn isFirst(value: f32, tap: u32, image: u32, top: i32, left: i32, channel: u32) -> bool {
  for (var earlier = 0u; earlier < tap; earlier++) {
    let y0 = top + i32(earlier / p.size);
    let x0 = left + i32(earlier % p.size);
    if (y0 >= 0 && y0 < i32(p.height) && x0 >= 0 && x0 < i32(p.width)) {
      if (x[((image * p.height + u32(y0)) * p.width + u32(x0)) * p.channels + channel] == value) { return false; }
    }
  }
  return true;
}`,
  body: `${FLAT_INDEX}
  ${locate('p.height', 'p.width')}
  let value = x[index];
  var sum = 0.0;
  for (var tap = 0u; tap < p.size * p.size; tap++) {
    let top = i32(line + p.padding) - i32(tap / p.size);
    let left = i32(column + p.padding) - i32(tap % p.size);
    if (top < 0 || left < 0 || u32(top) % p.stride != 0u || u32(left) % p.stride != 0u) { continue; }
    let outLine = u32(top) / p.stride;
    let outColumn = u32(left) / p.stride;
    if (outLine >= p.outHeight || outColumn >= p.outWidth) { continue; }
    let window = ((image * p.outHeight + outLine) * p.outWidth + outColumn) * p.channels + channel;
    let isLargest = y[window] == value;
    if (isLargest && isFirst(value, tap, image, top - i32(p.padding), left - i32(p.padding), channel)) {
      sum += dy[window];
    }
  }
  dx[index] = sum;`,
});

/** x [batch, pixels, channels] -> y [batch, channels], `count` of them */
export const GLOBAL_AVERAGE_POOL = defineLaneKernels((lane) =>
  defineKernel({
    name: 'global average pool',
    fields: { count: 'u32', pixels: 'u32', channels: 'u32' },
    reads: { x: lane },
    writes: { y: lane },
    threads: THREADS_PER_GROUP,
    body: `${FLAT_INDEX}
  var sum = ${lane}(0);
  for (var pixel = 0u; pixel < p.pixels; pixel++) {
    sum += x[(index / p.channels * p.pixels + pixel) * p.channels + index % p.channels];
  }
  y[index] = sum / f32(p.pixels);`,
  }),
);

/** dy [batch, channels] -> dx [batch, pixels, channels], `count` of them */
export const GLOBAL_AVERAGE_POOL_GRADIENT = defineLaneKernels((lane) =>
  defineKernel({
    name: 'global average pool gradient',
    fields: { count: 'u32', pixels: 'u32', channels: 'u32' },
    reads: { dy: lane },
    writes: { dx: lane },
    threads: THREADS_PER_GROUP,
    body: `${FLAT_INDEX}
  dx[index] = dy[index / p.channels / p.pixels * p.channels + index % p.channels] / f32(p.pixels);`,
  }),
);

const CHANNEL_PADDING_FIELDS = {
  count: 'u32',
  height: 'u32',
  width: 'u32',
  channels: 'u32',
  outHeight: 'u32',
  outWidth: 'u32',
  outChannels: 'u32',
  stride: 'u32',
  before: 'u32',
} as const;

/** x [batch, height, width, channels] -> y [batch, outHeight, outWidth, outChannels], `count` of them */
export const PAD_CHANNELS = defineKernel({
  name: 'pad channels',
  fields: CHANNEL_PADDING_FIELDS,
  reads: { x: 'f32' },
  writes: { y: 'f32' },
  threads: THREADS_PER_GROUP,
  body: `${FLAT_INDEX}
  let channel = index % p.outChannels;
  let pixel = index / p.outChannels;
  let column = pixel % p.outWidth * p.stride;
  let line = pixel / p.outWidth % p.outHeight * p.stride;
  let image = pixel / p.outWidth / p.outHeight;
  var value = 0.0;
  if (channel >= p.before && channel - p.before < p.channels) {
    value = x[((image * p.height + line) * p.width + column) * p.channels + channel - p.before];
  }
  y[index] = value;`,
});

/** dy [batch, outHeight, outWidth, outChannels] -> dx [batch, height, width, channels], `count` of them */
export const PAD_CHANNELS_GRADIENT = defineKernel({
  name: 'pad channels gradient',
  fields: CHANNEL_PADDING_FIELDS,
  reads: { dy: 'f32' },
  writes: { dx: 'f32' },
  threads: THREADS_PER_GROUP,
  body: `${FLAT_INDEX}
  ${locate('p.height', 'p.width')}
  var value = 0.0;
  if (line % p.stride == 0u && column % p.stride == 0u) {
    let pixel = (image * p.outHeight + line / p.stride) * p.outWidth + column / p.stride;
    value = dy[pixel * p.outChannels + channel + p.before];
  }
  dx[index] = value;`,
});
