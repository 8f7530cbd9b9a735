/**
 * A witness for gradients: the networks written once more, by hand and without the layer table, on stock tfjs, and
 * differentiated by its tape on the cpu backend.
 */
import * as tf from '@tensorflow/tfjs-core';
import type { Architecture } from '../../shared/architecture.ts';

type Parameters = ReadonlyMap<string, { shape: readonly number[]; values: Float32Array }>;

/** The values of the tensors that `compute` returns, computed on the cpu backend; every tensor made is given back. */
export async function computeOnTfjsCpu(compute: () => readonly tf.Tensor[]): Promise<Float32Array[]> {
  await import('@tensorflow/tfjs-backend-cpu');
  // tfjs-core under Node comes without any gradient.
  await import('@tensorflow/tfjs-core/dist/register_all_gradients.js');
  const before = tf.getBackend();
  await tf.setBackend('cpu');
  const values: Float32Array[] = [];
  try {
    tf.tidy(() => {
      for (const tensor of compute()) values.push(Float32Array.from(tensor.dataSync()));
    });
  } finally {
    if (before) await tf.setBackend(before);
  }
  return values;
}

export interface AutodiffResult {
  loss: number;
  /** [batch, classes] */
  logits: Float32Array;
  gradients: Map<string, Float32Array>;
}

/** Mean cross-entropy in training mode and its gradients by the trained parameters. */
export async function differentiateNetwork(
  architecture: Architecture,
  parameters: Parameters,
  batch: { images: Float32Array; targets: Float32Array; count: number },
): Promise<AutodiffResult> {
  const names = [...parameters.keys()].filter((name) => !name.includes('running_'));
  const [loss, logits, ...gradients] = await computeOnTfjsCpu(() => {
    const images = tf.tensor4d(batch.images, [batch.count, ...architecture.inputShape]);
    const targets = tf.tensor2d(batch.targets, [batch.count, architecture.classes]);
    const predict = (...tensors: tf.Tensor[]): tf.Tensor2D => {
      const byName = new Map(names.map((name, index) => [name, tensors[index]]));
      return new HandWrittenNetwork(architecture, byName).predict(images);
    };
    const measure = (...tensors: tf.Tensor[]): tf.Tensor =>
      tf.neg(tf.mean(tf.sum(tf.mul(tf.logSoftmax(predict(...tensors)), targets), -1)));
    const first = names.map((name) => {
      const { values = new Float32Array(), shape = [] } = parameters.get(name) ?? {};
      return tf.tensor(values, [...shape]);
    });
    return [measure(...first), predict(...first), ...tf.grads(measure)(first)];
  });
  if (logits === undefined) throw new Error('internal: no logits');
  const named = names.map((name, index) => [name, gradients[index] ?? new Float32Array()] as const);
  return { loss: loss?.[0] ?? Number.NaN, logits, gradients: new Map(named) };
}

/** Option A, by `gather`: tfjs cannot differentiate a strided slice. */
export function padChannels(
  x: tf.Tensor4D,
  { stride, before, after }: { stride: number; before: number; after: number },
): tf.Tensor4D {
  const [, height, width] = x.shape;
  const strided = tf.gather(
    tf.gather(x, tf.range(0, height, stride, 'int32'), 1),
    tf.range(0, width, stride, 'int32'),
    2,
  );
  const none: [number, number] = [0, 0];
  return tf.pad(strided, [none, none, none, [before, after]]);
}

/** He et al. 2015, arXiv:1512.03385: figures 3 and 5, section 4.2. */
export class HandWrittenNetwork {
  readonly #architecture: Architecture;
  readonly #tensors: ReadonlyMap<string, tf.Tensor | undefined>;

  constructor(architecture: Architecture, tensors: ReadonlyMap<string, tf.Tensor | undefined>) {
    this.#architecture = architecture;
    this.#tensors = tensors;
  }

  predict(images: tf.Tensor4D): tf.Tensor2D {
    const { stem, blocks, widths, head } = this.#architecture;
    const isWide = stem === 'imagenet';
    let x = tf.relu(this.#norm(this.#conv(images, 'conv1', isWide ? 2 : 1, isWide ? 3 : 1), 'bn1'));
    if (isWide) x = tf.maxPool(x, 3, 2, 1);
    blocks.forEach((count, stage) => {
      for (let block = 0; block < count; block++) {
        const stride = stage > 0 && block === 0 ? 2 : 1;
        x = this.#block(x, `layer${stage + 1}.${block}`, widths[stage] ?? 0, stride);
      }
    });
    let features = tf.mean(x, [1, 2]) as tf.Tensor2D;
    const hidden = head.kind === 'perceptron' ? head.hidden : [];
    for (const index of hidden.keys()) features = tf.relu(this.#dense(features, `head.${index}`));
    return this.#dense(features, 'linear');
  }

  #block(x: tf.Tensor4D, name: string, width: number, stride: number): tf.Tensor4D {
    const { block, residual: hasShortcut } = this.#architecture;
    let y: tf.Tensor4D;
    if (block === 'basic') {
      y = tf.relu(this.#norm(this.#conv(x, `${name}.conv1`, stride, 1), `${name}.bn1`));
      y = this.#norm(this.#conv(y, `${name}.conv2`, 1, 1), `${name}.bn2`);
    } else {
      y = tf.relu(this.#norm(this.#conv(x, `${name}.conv1`, 1, 0), `${name}.bn1`));
      y = tf.relu(this.#norm(this.#conv(y, `${name}.conv2`, stride, 1), `${name}.bn2`));
      y = this.#norm(this.#conv(y, `${name}.conv3`, 1, 0), `${name}.bn3`);
    }
    if (!hasShortcut) return tf.relu(y);
    return tf.relu(tf.add(y, this.#shortcut(x, `${name}.shortcut`, block === 'basic' ? width : 4 * width, stride)));
  }

  #shortcut(x: tf.Tensor4D, name: string, channels: number, stride: number): tf.Tensor4D {
    const { shortcut } = this.#architecture;
    const changes = stride !== 1 || x.shape[3] !== channels;
    if (shortcut === 'C' || (shortcut === 'B' && changes)) {
      return this.#norm(this.#conv(x, `${name}.0`, stride, 0), `${name}.1`);
    }
    if (!changes) return x;
    const missing = channels - x.shape[3];
    const before = Math.floor(missing / 2);
    return padChannels(x, { stride, before, after: missing - before });
  }

  #conv(x: tf.Tensor4D, name: string, stride: number, padding: number): tf.Tensor4D {
    const around: [number, number] = [padding, padding];
    const padded = tf.pad(x, [[0, 0], around, around, [0, 0]]);
    const y = tf.conv2d(padded, this.#tensor(`${name}.weight`) as tf.Tensor4D, stride, 'valid');
    return this.#tensors.has(`${name}.bias`) ? tf.add(y, this.#tensor(`${name}.bias`)) : y;
  }

  #norm(x: tf.Tensor4D, name: string): tf.Tensor4D {
    const { mean, variance } = tf.moments(x, [0, 1, 2]);
    const normalised = tf.div(tf.sub(x, mean), tf.sqrt(tf.add(variance, 1e-5)));
    return tf.add(tf.mul(normalised, this.#tensor(`${name}.weight`)), this.#tensor(`${name}.bias`));
  }

  #dense(x: tf.Tensor2D, name: string): tf.Tensor2D {
    return tf.add(tf.matMul(x, this.#tensor(`${name}.weight`) as tf.Tensor2D), this.#tensor(`${name}.bias`));
  }

  #tensor(name: string): tf.Tensor {
    const tensor = this.#tensors.get(name);
    if (tensor === undefined) throw new Error(`internal: there is no "${name}"`);
    return tensor;
  }
}
