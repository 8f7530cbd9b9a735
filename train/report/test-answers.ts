/**
 * `<run>/test-answers.json`: what the finished network answered to each test image, kept so that a report can be made
 * again without the network and the data. The pictures of the worst mistakes are in it, no other picture.
 */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { argMax, softmax } from '../../shared/classification.ts';
import { ProductError } from '../../shared/errors.ts';
import { encodePng } from '../../shared/image/png-encode.ts';
import { sha256Schema } from '../../shared/sha256.ts';
import type { Answers } from '../calibrate.ts';
import type { Dataset } from '../dataset.ts';

const TEST_ANSWERS_FILE = 'test-answers.json';
const KEPT_MISTAKES = 24;

const testAnswersSchema = z.strictObject({
  formatVersion: z.literal(1),
  step: z.int().nonnegative(),
  dataset: z.string(),
  dataSha256: sha256Schema,
  classNames: z.array(z.string()).min(2),
  /** Softmax(logits / temperature) are the probabilities; fitted on validation images. */
  temperature: z.number().positive(),
  /** Base64 of float32, little-endian, [images, classes]. */
  logits: z.base64(),
  /** Base64 of uint8, [images]. */
  labels: z.base64(),
  /** The most confident wrong answers, the worst first. */
  mistakes: z.array(z.strictObject({ index: z.int().nonnegative(), png: z.base64() })),
});

/** An image that the network took for another class with much confidence. */
export interface Mistake {
  /** Place in the test set, from 0. */
  index: number;
  label: string;
  predicted: string;
  /** Of the predicted class, calibrated. */
  probability: number;
  /** Of the true class, calibrated. */
  labelProbability: number;
  /** Base64. */
  png: string;
}

export interface TestAnswers {
  answers: Answers;
  classNames: readonly string[];
  temperature: number;
  mistakes: readonly Mistake[];
}

/** Keep the answers of a run; former ones are replaced at once. */
export async function writeTestAnswers(
  runFolder: string,
  options: { dataset: Dataset; answers: Answers; step: number; temperature: number },
): Promise<void> {
  const { dataset, answers, step, temperature } = options;
  const { logits, labels } = answers;
  const mistakes = [];
  for (const index of rankMistakes(answers, temperature).slice(0, KEPT_MISTAKES)) {
    mistakes.push({ index, png: toBase64(await encodeImage(dataset, index)) });
  }
  const record: z.infer<typeof testAnswersSchema> = {
    formatVersion: 1,
    step,
    dataset: dataset.name,
    dataSha256: dataset.sha256,
    classNames: [...dataset.classNames],
    temperature,
    logits: toBase64(littleEndian(logits)),
    labels: toBase64(labels),
    mistakes,
  };
  const partial = join(runFolder, `.${TEST_ANSWERS_FILE}.partial`);
  await writeFile(partial, `${JSON.stringify(record)}\n`);
  await rename(partial, join(runFolder, TEST_ANSWERS_FILE));
}

/** The answers that a run has kept, or undefined before its end. Errors: `run/damaged`. */
export async function readTestAnswers(runFolder: string): Promise<TestAnswers | undefined> {
  const path = join(runFolder, TEST_ANSWERS_FILE);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { classNames, temperature, logits, labels, mistakes } = testAnswersSchema.parse(JSON.parse(text));
    const answers = { logits: readFloats(logits), labels: Uint8Array.from(Buffer.from(labels, 'base64')) };
    if (answers.logits.length !== answers.labels.length * classNames.length) {
      throw new Error(`${answers.logits.length} logits for ${answers.labels.length} images`);
    }
    const described = mistakes.map(({ index, png }) => ({
      ...describeAnswer(answers, { index, classNames, temperature }),
      png,
    }));
    return { answers, classNames, temperature, mistakes: described };
  } catch (cause) {
    throw new ProductError(
      'run/damaged',
      `${path} is damaged (${cause instanceof Error ? cause.message : String(cause)}); resume the finished run with --resume, which measures the test set again`,
      { cause },
    );
  }
}

/** Test images with a wrong answer, the most confident first. */
function rankMistakes({ logits, labels }: Answers, temperature: number): number[] {
  const classes = logits.length / labels.length;
  const wrong = [...labels.keys()].flatMap((index) => {
    const row = logits.subarray(index * classes, (index + 1) * classes);
    const predicted = argMax(row);
    return predicted === labels[index] ? [] : [{ index, confidence: softmax(row, temperature)[predicted] ?? 0 }];
  });
  return wrong.toSorted((a, b) => b.confidence - a.confidence || a.index - b.index).map(({ index }) => index);
}

function describeAnswer(
  { logits, labels }: Answers,
  options: { index: number; classNames: readonly string[]; temperature: number },
): Omit<Mistake, 'png'> {
  const { index, classNames, temperature } = options;
  const label = labels[index];
  if (label === undefined) throw new Error(`there is no test image ${index}`);
  const row = logits.subarray(index * classNames.length, (index + 1) * classNames.length);
  const probabilities = softmax(row, temperature);
  const predicted = argMax(row);
  return {
    index,
    label: classNames[label] ?? '',
    predicted: classNames[predicted] ?? '',
    probability: probabilities[predicted] ?? 0,
    labelProbability: probabilities[label] ?? 0,
  };
}

function encodeImage({ test, imageShape }: Dataset, index: number): Promise<Uint8Array> {
  const [height, width, channels] = imageShape;
  if (channels !== 1 && channels !== 3) throw new Error(`internal: a picture of ${channels} channels`);
  const size = height * width * channels;
  const pixels = test.pixels.subarray(index * size, (index + 1) * size);
  return encodePng({ width, height, channels, pixels });
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

function littleEndian(values: Float32Array): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(4 * values.length));
  for (const [index, value] of values.entries()) bytes.setFloat32(4 * index, value, true);
  return new Uint8Array(bytes.buffer);
}

function readFloats(base64: string): Float32Array {
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.length % 4 !== 0) throw new Error(`${bytes.length} bytes are no float32 values`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.length / 4 }, (_, index) => view.getFloat32(4 * index, true));
}
