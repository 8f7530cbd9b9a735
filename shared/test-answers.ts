/**
 * What a model answered to each image of a test set, kept in its evaluation: enough to show the mistakes, to draw the
 * risk over the coverage, and to compare two models image by image without running either.
 */
import { z } from 'zod';
import { ProductError } from './errors.ts';

/** As it is written: 6 bytes for each image, 8 in base64, so 80 kB for 10,000. */
export const answersSchema = z.strictObject({
  /** Base64 of uint8 [images]: the true classes, in the order of the test set. */
  labels: z.base64(),
  /** Base64 of uint8 [images]: the classes that the model answered. */
  predicted: z.base64(),
  /** Base64 of float32, little-endian, [images]: the calibrated probability of the class that was answered. */
  confidence: z.base64(),
});

export type AnswersRecord = z.infer<typeof answersSchema>;

/** [images] each. */
export interface TestAnswers {
  labels: Uint8Array;
  predicted: Uint8Array;
  /** From 0 to 1. */
  confidence: Float32Array;
}

/** More classes do not fit into a byte. */
const MOST_CLASSES = 256;

export function encodeAnswers({ labels, predicted, confidence }: TestAnswers): AnswersRecord {
  const floats = new DataView(new ArrayBuffer(4 * confidence.length));
  for (const [index, value] of confidence.entries()) floats.setFloat32(4 * index, value, true);
  return {
    labels: z.util.uint8ArrayToBase64(labels),
    predicted: z.util.uint8ArrayToBase64(predicted),
    confidence: z.util.uint8ArrayToBase64(new Uint8Array(floats.buffer)),
  };
}

/**
 * Read the answers to `images` images of `classes` classes.
 *
 * Errors   'model/damaged' when their numbers differ or a class is none
 */
export function decodeAnswers(
  record: AnswersRecord,
  { images, classes }: { images: number; classes: number },
): TestAnswers {
  const labels = z.util.base64ToUint8Array(record.labels);
  const predicted = z.util.base64ToUint8Array(record.predicted);
  const bytes = z.util.base64ToUint8Array(record.confidence);
  const isWhole = labels.length === images && predicted.length === images && bytes.length === 4 * images;
  const isKnown = (each: number): boolean => each < Math.min(classes, MOST_CLASSES);
  if (!isWhole || !labels.every(isKnown) || !predicted.every(isKnown)) {
    throw new ProductError(
      'model/damaged',
      `the evaluation has ${labels.length} labels, ${predicted.length} answers and ${bytes.length / 4} probabilities for ${images} images of ${classes} classes; run "npm run model -- evaluate" again`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const confidence = Float32Array.from({ length: images }, (_, index) => view.getFloat32(4 * index, true));
  return { labels, predicted, confidence };
}

/** The images of one wrong cell of the confusion matrix. */
export interface MistakeCell {
  /** The true class. */
  label: string;
  predicted: string;
  /** Places in the test set, from 0, in rising order. */
  indices: number[];
}

/** The mistakes by cell, the largest cell first. */
export function groupMistakes({ labels, predicted }: TestAnswers, classNames: readonly string[]): MistakeCell[] {
  const cells = new Map<number, number[]>();
  for (const [index, label] of labels.entries()) {
    const answer = predicted[index] ?? label;
    if (answer === label) continue;
    const key = label * MOST_CLASSES + answer;
    const indices = cells.get(key);
    if (indices === undefined) cells.set(key, [index]);
    else indices.push(index);
  }
  return [...cells]
    .toSorted(([a, first], [b, second]) => second.length - first.length || a - b)
    .map(([key, indices]) => ({
      label: classNames[Math.floor(key / MOST_CLASSES)] ?? '',
      predicted: classNames[key % MOST_CLASSES] ?? '',
      indices,
    }));
}
