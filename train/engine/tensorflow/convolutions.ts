/**
 * Convolutions and their gradients on TensorFlow, in the formulations that are fastest for one shape or another.
 *
 * `op` is TensorFlow's own op. The others cut the map into as many shifted maps as the kernel has places: each is a
 * matrix [pixels, in], so that kernel gradients become matrix products with dy [pixels, out]. `EXPLICIT` padding leaves
 * oneDNN (gradients get 2 to 60 times slower), so an op says SAME where that is the same thing, and otherwise VALID on a
 * padded copy: SAME with stride 2 pads by 0 and 1, PyTorch by 1 and 1.
 */
import { sizeOf } from '../../../shared/resnet.ts';
import type { WindowGeometry } from '../../../shared/resnet.ts';
import type { FormulationChooser } from '../formulations.ts';
import type { OpAttribute } from './addon.ts';
import type { NativeOps, NativeTensor } from './native-ops.ts';

/** A kernel with more places than this is not cut up: the stem of ImageNet has 49. */
const MOST_SHIFTS = 9;

/** Everything is in the type of feature maps, and what is returned is the caller's. */
export class Convolutions {
  readonly #ops: NativeOps;
  readonly #formulations: FormulationChooser;
  /** Ends the name of each subject: the times of a type say nothing of another one. */
  readonly #precision: string;

  constructor(ops: NativeOps, formulations: FormulationChooser, precision: string) {
    this.#ops = ops;
    this.#formulations = formulations;
    this.#precision = precision;
  }

  /** x [batch, h, w, in], kernel [size, size, in, out] -> [batch, h', w', out] */
  forward(x: NativeTensor, kernel: NativeTensor, geometry: WindowGeometry): NativeTensor {
    const shape = [...windowShape(x.shape, geometry).slice(0, 3), kernel.shape[3] ?? 0];
    const op = (): NativeTensor => {
      const padded = this.#pad(x, geometry);
      return this.#ops.using(padded, x, (map) => this.#ops.run('Conv2D', this.#attributes(geometry), [map, kernel]));
    };
    const patches = (): NativeTensor =>
      this.#usingPatches(x, geometry, (matrix) => {
        const flat = this.#ops.reshape(kernel, [sizeOf(kernel.shape.slice(0, 3)), kernel.shape[3] ?? 0]);
        return this.#ops.usingAll([flat], () => this.#shaped(this.#ops.matMul(matrix, flat), shape));
      });
    return this.#choose(
      'forward',
      x.shape,
      kernel.shape,
      geometry,
      isCut(x.shape, geometry) ? { op, patches } : { op },
    );
  }

  /** dy [batch, h', w', out] -> [batch, h, w, in], which is `inputShape` */
  inputGradient(
    dy: NativeTensor,
    kernel: NativeTensor,
    inputShape: readonly number[],
    geometry: WindowGeometry,
  ): NativeTensor {
    const op = (): NativeTensor => {
      const padding = isSame(geometry) ? 0 : geometry.padding;
      const paddedShape = this.#ops.integers(padShape(inputShape, padding));
      const dx = this.#ops.run('Conv2DBackpropInput', this.#attributes(geometry), [paddedShape, kernel, dy]);
      if (padding === 0) return dx;
      return this.#ops.usingAll([dx], () => this.#ops.slice(dx, [0, padding, padding, 0], inputShape));
    };
    // Of a 1x1 kernel: one product, and zeros where the stride skips.
    const product = (): NativeTensor => {
      const [inChannels = 0, outChannels = 0] = kernel.shape.slice(2);
      const [batch = 0, height = 0, width = 0] = dy.shape;
      const rows = this.#ops.reshape(dy, [batch * height * width, outChannels]);
      const matrix = this.#ops.reshape(kernel, [inChannels, outChannels]);
      const products = this.#ops.usingAll([rows, matrix], () =>
        this.#ops.matMul(rows, matrix, { isSecondTransposed: true }),
      );
      const { stride } = geometry;
      if (stride === 1) return this.#shaped(products, inputShape);
      const pixels = this.#shaped(products, [batch * height, 1, width, inChannels]);
      const skipped = [0, 0, 0, stride - 1, 0, 0, 0, (stride - 1) * inChannels];
      return this.#shaped(
        this.#ops.usingAll([pixels], () => this.#ops.pad(pixels, skipped)),
        inputShape,
      );
    };
    const [, height = 0, width = 0] = inputShape;
    const { size, stride, padding } = geometry;
    const isProduct = size === 1 && padding === 0 && height % stride === 0 && width % stride === 0;
    return this.#choose('input gradient', inputShape, kernel.shape, geometry, isProduct ? { op, product } : { op });
  }

  /** x [batch, h, w, in], dy [batch, h', w', out] -> [size, size, in, out], which is `kernelShape` */
  kernelGradient(
    x: NativeTensor,
    dy: NativeTensor,
    kernelShape: readonly number[],
    geometry: WindowGeometry,
  ): NativeTensor {
    const [, , inChannels = 0, outChannels = 0] = kernelShape;
    const slices = (): NativeTensor =>
      this.#usingColumns(dy, (columns) => {
        const products = this.#usingShifts(x, geometry, (shifts) =>
          shifts.map((shifted) => this.#ops.matMul(columns, shifted)),
        );
        const joined = this.#ops.usingAll(products, () => this.#ops.concatenate(products, 0));
        const places = this.#shaped(joined, [products.length, outChannels, inChannels]);
        const turned = this.#ops.usingAll([places], () => this.#ops.transpose(places, [0, 2, 1]));
        return this.#shaped(turned, kernelShape);
      });
    const patches = (): NativeTensor =>
      this.#usingColumns(dy, (columns) => {
        const product = this.#usingPatches(x, geometry, (matrix) => this.#ops.matMul(columns, matrix));
        const turned = this.#ops.usingAll([product], () => this.#ops.transpose(product, [1, 0]));
        return this.#shaped(turned, kernelShape);
      });
    const op = (): NativeTensor => {
      const padded = this.#pad(x, geometry);
      return this.#ops.using(padded, x, (map) => {
        const inputs = [map, this.#ops.integers(kernelShape), dy];
        return this.#ops.run('Conv2DBackpropFilter', this.#attributes(geometry), inputs);
      });
    };
    return this.#choose('kernel gradient', x.shape, kernelShape, geometry, {
      // With oneDNN the op writes behind its buffer for a 1x1 kernel with a stride, unless the channels are a multiple
      // of 16 (TensorFlow 2.21).
      ...(geometry.size === 1 && geometry.stride > 1 ? {} : { op }),
      ...(isCut(x.shape, geometry) ? { slices } : {}),
      ...(isCut(x.shape, geometry) && geometry.size > 1 ? { patches } : {}),
    });
  }

  /** The batch is no part of the subject: the last one of an epoch may be smaller. */
  #choose(
    what: string,
    mapShape: readonly number[],
    kernelShape: readonly number[],
    { size, stride, padding }: WindowGeometry,
    ways: Readonly<Record<string, () => NativeTensor>>,
  ): NativeTensor {
    const [, height, width, inChannels] = mapShape;
    const kernel = `${size}x${size} stride ${stride} padding ${padding}`;
    const subject = `${what}, ${kernel}, ${height}x${width}x${inChannels} to ${kernelShape[3]}, ${this.#precision}`;
    return this.#formulations.compute(subject, ways, (result) => this.#ops.dispose(result));
  }

  #attributes(geometry: WindowGeometry): OpAttribute[] {
    const { stride } = geometry;
    return [
      this.#ops.integerList('strides', [1, stride, stride, 1]),
      this.#ops.text('padding', isSame(geometry) ? 'SAME' : 'VALID'),
    ];
  }

  /** What VALID then slides over; `x` itself where nothing has to be added. */
  #pad(x: NativeTensor, geometry: WindowGeometry): NativeTensor {
    const { padding } = geometry;
    return isSame(geometry) ? x : this.#ops.pad(x, [0, 0, padding, padding, padding, padding, 0, 0]);
  }

  /** The same values under another shape, instead of `x`. */
  #shaped(x: NativeTensor, shape: readonly number[]): NativeTensor {
    return this.#ops.usingAll([x], () => this.#ops.reshape(x, shape));
  }

  /**
   * dy as [out, batch * h' * w']. Turned once, since a product that is asked to turn an input does so each time, and
   * turning dy costs less than turning what it is multiplied by.
   */
  #usingColumns<Result>(dy: NativeTensor, use: (columns: NativeTensor) => Result): Result {
    const channels = dy.shape.at(-1) ?? 1;
    const rows = this.#ops.reshape(dy, [sizeOf(dy.shape) / channels, channels]);
    const columns = this.#ops.usingAll([rows], () => this.#ops.transpose(rows, [1, 0]));
    return this.#ops.usingAll([columns], () => use(columns));
  }

  /**
   * For each place of the kernel, row by row, what it sees: [batch * h' * w', in].
   *
   * A strided slice is slow. Seen as [batch, h / stride, stride, w / stride, stride * in], every stride-th pixel is an
   * ordinary slice.
   */
  #usingShifts<Result>(
    x: NativeTensor,
    geometry: WindowGeometry,
    use: (shifts: readonly NativeTensor[]) => Result,
  ): Result {
    const { size, stride } = geometry;
    const { out, padded, paddings } = measureCut(x.shape, geometry);
    const [batch = 0, , , channels = 0] = x.shape;
    return this.#ops.using(this.#ops.pad(x, paddings), x, (map) => {
      const view = this.#ops.reshape(map, [
        batch,
        padded.height / stride,
        stride,
        padded.width / stride,
        stride * channels,
      ]);
      return this.#ops.usingAll([view], () => {
        const places = Array.from({ length: size * size }, (_, index) => [Math.floor(index / size), index % size]);
        const shifts = places.map(([row = 0, column = 0]) => {
          const begin = [
            0,
            Math.floor(row / stride),
            row % stride,
            Math.floor(column / stride),
            (column % stride) * channels,
          ];
          const seen = this.#ops.slice(view, begin, [batch, out.height, 1, out.width, channels]);
          return this.#shaped(seen, [batch * out.height * out.width, channels]);
        });
        return this.#ops.usingAll(shifts, () => use(shifts));
      });
    });
  }

  /** All shifts side by side: [batch * h' * w', size * size * in], in the order of a kernel's values. */
  #usingPatches<Result>(x: NativeTensor, geometry: WindowGeometry, use: (patches: NativeTensor) => Result): Result {
    const patches = this.#usingShifts(x, geometry, (shifts) => this.#ops.concatenate(shifts, 1));
    return this.#ops.usingAll([patches], () => use(patches));
  }
}

/** Whether TensorFlow's SAME pads every input size just so. */
function isSame({ size, stride, padding }: WindowGeometry): boolean {
  return stride === 1 && padding > 0 && 2 * padding === size - 1;
}

function padShape(shape: readonly number[], padding: number): number[] {
  const [batch = 0, height = 0, width = 0, channels = 0] = shape;
  return [batch, height + 2 * padding, width + 2 * padding, channels];
}

function windowShape([batch = 0, height = 0, width = 0, channels = 0]: readonly number[], geometry: WindowGeometry) {
  const { size, stride, padding } = geometry;
  const count = (length: number): number => Math.floor((length + 2 * padding - size) / stride) + 1;
  return [batch, count(height), count(width), channels];
}

/** How a map is padded so that it can be cut into shifts: to a whole number of strides that holds all the kernel sees. */
function measureCut(shape: readonly number[], geometry: WindowGeometry) {
  const { size, stride, padding } = geometry;
  const [, height = 0, width = 0] = windowShape(shape, geometry);
  const span = (count: number): number => stride * (count + Math.floor((size - 1) / stride));
  const padded = { height: span(height), width: span(width) };
  const [, inHeight = 0, inWidth = 0] = shape;
  const below = padded.height - padding - inHeight;
  const right = padded.width - padding - inWidth;
  return { out: { height, width }, padded, paddings: [0, 0, padding, below, padding, right, 0, 0] };
}

/** Whether a map may be cut into shifts. What a stride leaves over at the end would have to be cut off first. */
function isCut(shape: readonly number[], geometry: WindowGeometry): boolean {
  return geometry.size ** 2 <= MOST_SHIFTS && measureCut(shape, geometry).paddings.every((padding) => padding >= 0);
}
