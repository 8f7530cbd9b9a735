/** Shapes of tensors as the fields that kernels name. */
import type { WindowGeometry } from '../../../shared/resnet.ts';
import { sizeOf } from '../../../shared/resnet.ts';
import type { ChannelPadding, EngineTensor } from '../engine.ts';

/** [..., channels] as a matrix. */
export function describeRows({ shape }: EngineTensor): { rows: number; channels: number } {
  const channels = shape.at(-1) ?? 0;
  return { rows: sizeOf(shape) / channels, channels };
}

export function deriveWindowShape(
  [batch = 0, height = 0, width = 0]: readonly number[],
  channels: number,
  { size, stride, padding }: WindowGeometry,
): number[] {
  const countWindows = (side: number): number => Math.floor((side + 2 * padding - size) / stride) + 1;
  return [batch, countWindows(height), countWindows(width), channels];
}

export function describeWindows(inputShape: readonly number[], outShape: readonly number[], geometry: WindowGeometry) {
  const [, height = 0, width = 0] = inputShape;
  const [, outHeight = 0, outWidth = 0] = outShape;
  return { height, width, outHeight, outWidth, ...geometry };
}

export function describeConvolution(
  inputShape: readonly number[],
  outShape: readonly number[],
  geometry: WindowGeometry,
) {
  const [batch = 0, , , channels = 0] = inputShape;
  const [, , , outChannels = 0] = outShape;
  return { batch, channels, outChannels, ...describeWindows(inputShape, outShape, geometry) };
}

export function describePadding(inputShape: readonly number[], outShape: readonly number[], padding: ChannelPadding) {
  const [, height = 0, width = 0, channels = 0] = inputShape;
  const [, outHeight = 0, outWidth = 0, outChannels = 0] = outShape;
  return { height, width, channels, outHeight, outWidth, outChannels, stride: padding.stride, before: padding.before };
}
