/** From the nodes of a graph model to the engine's own list of steps, with the shape of each. */
import { ProductError } from '../errors.ts';
import {
  readBoolean,
  readIntegers,
  readNumber,
  readShape,
  readString,
  readStrings,
  type GraphDefNode,
} from './graph-def.ts';
import type { Edges, MapShape, Network, NetworkNode, Operation } from './network.ts';

/** A constant of the graph; `values` decodes it and is meant for small ones. */
export interface Constant {
  shape: readonly number[];
  values(): readonly number[];
}

const NO_EDGES: Edges = { top: 0, left: 0, bottom: 0, right: 0 };

/**
 * Errors: `model/unsupported`, naming the op, for an op or a use of it that no kernel serves.
 */
export function parseNetwork(nodes: readonly GraphDefNode[], constants: ReadonlyMap<string, Constant>): Network {
  return new NetworkParser(constants).parse(nodes);
}

class NetworkParser {
  readonly #nodes: NetworkNode[] = [];
  readonly #indexOfNode = new Map<string, number>();
  readonly #constants: ReadonlyMap<string, Constant>;

  constructor(constants: ReadonlyMap<string, Constant>) {
    this.#constants = constants;
  }

  parse(nodes: readonly GraphDefNode[]): Network {
    for (const node of nodes) {
      if (node.op === 'Const') continue;
      this.#indexOfNode.set(node.name, this.#addNode(node));
    }
    return { nodes: this.#nodes, indexOfNode: this.#indexOfNode };
  }

  #addNode(node: GraphDefNode): number {
    switch (node.op) {
      case 'Placeholder':
        return this.#addPlaceholder(node);
      case 'Identity':
        return this.#addSame(node, { kind: 'alias' });
      case 'Relu':
        return this.#addSame(node, { kind: 'relu' });
      case 'Sigmoid':
        return this.#addSame(node, { kind: 'sigmoid' });
      case 'Softmax':
        return this.#addSoftmax(node);
      case 'Conv2D':
      case '_FusedConv2D':
        return this.#addFused(node, this.#addConvolution(node));
      case 'MatMul':
      case '_FusedMatMul':
        return this.#addFused(node, this.#addDense(node));
      case 'BiasAdd':
        return this.#addBias(node, this.#mapInput(node, 0), this.#vector(node, 1));
      case 'FusedBatchNormV3':
      case 'FusedBatchNormV2':
      case 'FusedBatchNorm':
        return this.#addBatchNorm(node);
      case 'Add':
      case 'AddV2':
        return this.#addArithmetic(node, 'add');
      case 'Sub':
        return this.#addArithmetic(node, 'subtract');
      case 'Mul':
        return this.#addArithmetic(node, 'multiply');
      case 'Pad':
      case 'PadV2':
        return this.#addPad(node);
      case 'StridedSlice':
        return this.#addSubsample(node);
      case 'MaxPool':
        return this.#addMaxPool(node);
      case 'Mean':
        return this.#addAverage(node);
      default:
        throw unsupported(node, 'no kernel of the edge engine computes this op');
    }
  }

  #add(name: string, inputs: readonly number[], operation: Operation, shape: MapShape, isMap: boolean): number {
    this.#nodes.push({ name, inputs, operation, shape, isMap });
    return this.#nodes.length - 1;
  }

  #at(index: number): NetworkNode {
    const node = this.#nodes[index];
    if (node === undefined) throw new Error(`internal: no node ${index}`);
    return node;
  }

  #mapInput(node: GraphDefNode, position: number): number {
    const name = inputName(node, position);
    const index = this.#indexOfNode.get(name);
    if (index === undefined) throw unsupported(node, `its input "${name}" is no computed value that comes before it`);
    return index;
  }

  #constant(node: GraphDefNode, position: number): Constant {
    const found = this.#constants.get(inputName(node, position));
    if (found === undefined) throw unsupported(node, `its input ${position} must be a constant`);
    return found;
  }

  #vector(node: GraphDefNode, position: number): Float64Array {
    return Float64Array.from(this.#constant(node, position).values());
  }

  #addPlaceholder(node: GraphDefNode): number {
    const [, height = -1, width = -1, channels = -1, ...more] = readShape(node);
    if (height < 1 || width < 1 || channels < 1 || more.length > 0) {
      throw unsupported(
        node,
        `its shape is [${readShape(node).join(', ')}], [batch, height, width, channels] is expected`,
      );
    }
    return this.#add(node.name, [], { kind: 'input' }, { height, width, channels }, true);
  }

  #addSame(node: GraphDefNode, operation: Operation): number {
    const input = this.#mapInput(node, 0);
    const { shape, isMap } = this.#at(input);
    return this.#add(node.name, [input], operation, shape, isMap);
  }

  #addSoftmax(node: GraphDefNode): number {
    if (this.#at(this.#mapInput(node, 0)).isMap) throw unsupported(node, 'softmax is of [batch, classes] only');
    return this.#addSame(node, { kind: 'softmax' });
  }

  #addConvolution(node: GraphDefNode): number {
    const input = this.#mapInput(node, 0);
    const { shape, isMap } = this.#at(input);
    const [height = 0, width = 0, depth = 0, channels = 0] = this.#constant(node, 1).shape;
    const [, strideY = 1, strideX = 1] = readIntegers(node, 'strides');
    assertNhwc(node);
    if (!isMap || depth !== shape.channels) {
      throw unsupported(node, `a kernel for ${depth} channels reads a map of ${shape.channels}`);
    }
    if (strideY !== strideX) throw unsupported(node, `its strides ${strideY} and ${strideX} differ`);
    if (readIntegers(node, 'dilations').some((dilation) => dilation !== 1)) throw unsupported(node, 'it is dilated');
    if (height * width > MAX_TAPS) throw unsupported(node, `a window of ${height} x ${width} pixels is too large`);
    const window = { height, width, strideY, strideX };
    const padding = readPadding(node, shape, window);
    const size = sizeAfter(shape, window, padding);
    const operation: Operation = {
      kind: 'convolution',
      kernel: inputName(node, 1),
      height,
      width,
      stride: strideY,
      padding,
    };
    return this.#add(node.name, [input], operation, { ...size, channels }, true);
  }

  #addDense(node: GraphDefNode): number {
    const input = this.#mapInput(node, 0);
    const { shape, isMap } = this.#at(input);
    const [depth = 0, channels = 0] = this.#constant(node, 1).shape;
    if (isMap || depth !== shape.channels) {
      throw unsupported(node, `a kernel for ${depth} features reads ${shape.channels}`);
    }
    if (readBoolean(node, 'transpose_a') || readBoolean(node, 'transpose_b')) {
      throw unsupported(node, 'it transposes a matrix');
    }
    const operation: Operation = {
      kind: 'convolution',
      kernel: inputName(node, 1),
      height: 1,
      width: 1,
      stride: 1,
      padding: NO_EDGES,
    };
    return this.#add(node.name, [input], operation, { height: 1, width: 1, channels }, false);
  }

  /** What a fused op does after its product, as steps of their own. */
  #addFused(node: GraphDefNode, product: number): number {
    let last = product;
    for (const fused of readStrings(node, 'fused_ops')) {
      if (fused === 'BiasAdd') last = this.#addBias(node, last, this.#vector(node, 2));
      else if (fused === 'Relu') {
        const { shape, isMap } = this.#at(last);
        last = this.#add(node.name, [last], { kind: 'relu' }, shape, isMap);
      } else throw unsupported(node, `it is fused with "${fused}"`);
    }
    return last;
  }

  #addBias(node: GraphDefNode, input: number, shift: Float64Array): number {
    return this.#addChannels(node, input, new Float64Array(shift.length).fill(1), shift);
  }

  #addBatchNorm(node: GraphDefNode): number {
    assertNhwc(node);
    if (readBoolean(node, 'is_training')) throw unsupported(node, 'it takes statistics of the batch');
    const [gamma, beta, mean, variance] = [1, 2, 3, 4].map((position) => this.#vector(node, position));
    if (!gamma || !beta || !mean || !variance) throw new Error('internal: batch norm has four vectors');
    const epsilon = readNumber(node, 'epsilon');
    const gain = gamma.map((value, channel) => value / Math.sqrt((variance[channel] ?? Number.NaN) + epsilon));
    const shift = beta.map((value, channel) => value - (mean[channel] ?? Number.NaN) * (gain[channel] ?? Number.NaN));
    return this.#addChannels(node, this.#mapInput(node, 0), gain, shift);
  }

  #addChannels(node: GraphDefNode, input: number, gain: Float64Array, shift: Float64Array): number {
    const { shape, isMap } = this.#at(input);
    if (gain.length !== shape.channels || shift.length !== shape.channels) {
      throw unsupported(node, `it has ${shift.length} values for ${shape.channels} channels`);
    }
    return this.#add(node.name, [input], { kind: 'channels', gain, shift }, shape, isMap);
  }

  /** Of two maps of one shape, or of a map and a constant number. */
  #addArithmetic(node: GraphDefNode, operation: 'add' | 'subtract' | 'multiply'): number {
    const [first, second] = [0, 1].map((position) => this.#constants.get(inputName(node, position)));
    const constant = first ?? second;
    if (constant === undefined) {
      const inputs = [this.#mapInput(node, 0), this.#mapInput(node, 1)];
      const [a, b] = inputs.map((input) => this.#at(input));
      if (!a || !b || a.isMap !== b.isMap || JSON.stringify(a.shape) !== JSON.stringify(b.shape)) {
        throw unsupported(node, 'its two inputs have different shapes');
      }
      return this.#add(node.name, inputs, { kind: 'combine', operation }, a.shape, a.isMap);
    }
    const [value, ...more] = constant.values();
    if (value === undefined || more.length > 0) throw unsupported(node, 'its constant is not a single number');
    const input = this.#mapInput(node, first === undefined ? 0 : 1);
    const { shape, isMap } = this.#at(input);
    const linear = toLinear(operation, value, first !== undefined);
    return this.#add(node.name, [input], { kind: 'linear', ...linear }, shape, isMap);
  }

  #addPad(node: GraphDefNode): number {
    const input = this.#mapInput(node, 0);
    const { shape, isMap } = this.#at(input);
    const [b0, b1, top = 0, bottom = 0, left = 0, right = 0, before = 0, after = 0] = this.#vector(node, 1);
    const [value = 0] = node.op === 'PadV2' ? this.#vector(node, 2) : [0];
    if (!isMap || b0 !== 0 || b1 !== 0) throw unsupported(node, 'only height, width and channels can be padded');
    const padded = {
      height: shape.height + top + bottom,
      width: shape.width + left + right,
      channels: shape.channels + before + after,
    };
    return this.#add(
      node.name,
      [input],
      { kind: 'pad', edges: { top, left, bottom, right }, before, value },
      padded,
      true,
    );
  }

  /** Only what halves a map: from its first pixel to its last, in steps that are alike in both directions. */
  #addSubsample(node: GraphDefNode): number {
    const input = this.#mapInput(node, 0);
    const { shape, isMap } = this.#at(input);
    const [batch, strideY = 1, strideX = 1, channels] = this.#vector(node, 3);
    const isWhole =
      readNumber(node, 'begin_mask') === 15 &&
      readNumber(node, 'end_mask') === 15 &&
      ['ellipsis_mask', 'new_axis_mask', 'shrink_axis_mask'].every((mask) => readNumber(node, mask) === 0);
    if (!isMap || !isWhole || batch !== 1 || channels !== 1 || strideY !== strideX || strideY < 1) {
      throw unsupported(node, 'only every n-th pixel of a whole map can be taken');
    }
    const size = { height: Math.ceil(shape.height / strideY), width: Math.ceil(shape.width / strideY) };
    return this.#add(node.name, [input], { kind: 'subsample', stride: strideY }, { ...shape, ...size }, true);
  }

  #addMaxPool(node: GraphDefNode): number {
    const input = this.#mapInput(node, 0);
    const { shape, isMap } = this.#at(input);
    assertNhwc(node);
    const [, height = 1, width = 1] = readIntegers(node, 'ksize');
    const [, strideY = 1, strideX = 1] = readIntegers(node, 'strides');
    if (!isMap) throw unsupported(node, 'only maps can be pooled');
    const window = { height, width, strideY, strideX };
    const padding = readPadding(node, shape, window);
    const size = sizeAfter(shape, window, padding);
    return this.#add(node.name, [input], { kind: 'maxPool', ...window, padding }, { ...shape, ...size }, true);
  }

  #addAverage(node: GraphDefNode): number {
    const input = this.#mapInput(node, 0);
    const { shape, isMap } = this.#at(input);
    const axes = [...this.#vector(node, 1)].toSorted((a, b) => a - b);
    if (!isMap || axes.join() !== '1,2' || readBoolean(node, 'keep_dims')) {
      throw unsupported(node, 'only the mean over height and width is computed');
    }
    return this.#add(node.name, [input], { kind: 'average' }, { height: 1, width: 1, channels: shape.channels }, false);
  }
}

/** So many offsets the table of the direct kernel holds (`kernels/scratch.ts`). */
const MAX_TAPS = 512;

function toLinear(
  operation: 'add' | 'subtract' | 'multiply',
  value: number,
  isFirst: boolean,
): { factor: number; term: number } {
  if (operation === 'multiply') return { factor: value, term: 0 };
  if (operation === 'add') return { factor: 1, term: value };
  return isFirst ? { factor: -1, term: value } : { factor: 1, term: -value };
}

interface Window {
  height: number;
  width: number;
  strideY: number;
  strideX: number;
}

function readPadding(node: GraphDefNode, shape: MapShape, window: Window): Edges {
  const padding = readString(node, 'padding');
  if (padding === 'VALID') return NO_EDGES;
  if (padding === 'EXPLICIT') {
    const [, , top = 0, bottom = 0, left = 0, right = 0] = readIntegers(node, 'explicit_paddings');
    return { top, left, bottom, right };
  }
  if (padding !== 'SAME') throw unsupported(node, `its padding is "${padding}"`);
  // TensorFlow's rule: as much as the last window needs, the odd pixel at the end.
  const missing = (size: number, windowSize: number, stride: number): number =>
    Math.max(0, (Math.ceil(size / stride) - 1) * stride + windowSize - size);
  const vertical = missing(shape.height, window.height, window.strideY);
  const horizontal = missing(shape.width, window.width, window.strideX);
  const top = Math.floor(vertical / 2);
  const left = Math.floor(horizontal / 2);
  return { top, left, bottom: vertical - top, right: horizontal - left };
}

function sizeAfter(shape: MapShape, window: Window, padding: Edges): { height: number; width: number } {
  const { top, left, bottom, right } = padding;
  return {
    height: Math.floor((shape.height + top + bottom - window.height) / window.strideY) + 1,
    width: Math.floor((shape.width + left + right - window.width) / window.strideX) + 1,
  };
}

function assertNhwc(node: GraphDefNode): void {
  const format = readString(node, 'data_format');
  if (format !== '' && format !== 'NHWC') throw unsupported(node, `its data format is ${format}, NHWC is expected`);
}

/** The node behind an input, `name` or `name:0`. */
function inputName(node: GraphDefNode, position: number): string {
  return (node.input?.[position] ?? '').replace(/:0$/, '');
}

function unsupported(node: GraphDefNode, problem: string): ProductError {
  return new ProductError(
    'model/unsupported',
    `the op "${node.op}" (node "${node.name}") cannot run on the edge engine: ${problem}; convert the checkpoint with this program`,
  );
}
