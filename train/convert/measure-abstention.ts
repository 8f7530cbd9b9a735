/** How often a model says that it does not know: on the test set, with what it gains there, and on foreign pictures. */
import { findReasons, measureRoughness, scoreCertainty } from '../../shared/abstention.ts';
import type { AbstentionReason } from '../../shared/abstention.ts';
import { argMax } from '../../shared/classification.ts';
import type { AbstentionRecord, AbstentionRule, ModelManifest } from '../../shared/manifest.ts';
import { LOGITS_LAYER } from '../../shared/resnet.ts';
import { evaluationBatches } from '../batches.ts';
import type { Dataset } from '../dataset.ts';
import { drawForeignPicture, FOREIGN_ID, FOREIGN_KINDS } from '../foreign-pictures.ts';
import type { ForeignKind } from '../foreign-pictures.ts';
import { createRandom } from '../random.ts';
import type { ModelRunner } from './runner.ts';

/** Part of the definition: other seeds give other figures. */
const SEED = 1;
/** Of each kind, at most. */
const FOREIGN_IMAGES = 1000;
const BATCH_SIZE = 50;

/** Counts while the test set is measured; each foreign picture is then run for it alone. */
export class AbstentionMeter {
  readonly #manifest: ModelManifest;
  readonly #rule: AbstentionRule;
  readonly #counts = { images: 0, answered: 0, correct: 0 };
  readonly #reasons: Record<AbstentionReason, number> = { unsure: 0, 'too-smooth': 0, 'too-rough': 0 };

  constructor(manifest: ModelManifest, rule: AbstentionRule) {
    this.#manifest = manifest;
    this.#rule = rule;
  }

  /** Add one test image: pixels as the model takes them, logits [classes], its true class. */
  add({ pixels, logits, label }: { pixels: Uint8Array; logits: ArrayLike<number>; label: number }): void {
    const reasons = this.#judge(pixels, logits);
    this.#counts.images += 1;
    for (const reason of reasons) this.#reasons[reason] += 1;
    if (reasons.length > 0) return;
    this.#counts.answered += 1;
    if (argMax(logits) === label) this.#counts.correct += 1;
  }

  /** The counts so far, and those of foreign pictures, of which there are no more than test images. */
  async summarize(runner: ModelRunner, dataset: Dataset): Promise<AbstentionRecord> {
    const images = Math.min(FOREIGN_IMAGES, dataset.test.count);
    const foreign: AbstentionRecord['foreign'] = [];
    for (const kind of FOREIGN_KINDS) {
      const abstained = await this.#countAbstained(runner, drawPictures(dataset, { kind, images }));
      foreign.push({ name: kind, images, abstained });
    }
    return { ...this.#counts, reasons: { ...this.#reasons }, definition: FOREIGN_ID, seed: SEED, foreign };
  }

  async #countAbstained(runner: ModelRunner, pictures: readonly Uint8Array[]): Promise<number> {
    const { architecture, preprocess, classNames } = this.#manifest;
    const classes = classNames.length;
    const count = pictures.length;
    let [abstained, index] = [0, 0];
    for (const batch of evaluationBatches({
      images: { pixels: joinPictures(pictures), labels: new Uint8Array(count), count },
      imageShape: architecture.inputShape,
      normalization: preprocess,
      batchSize: BATCH_SIZE,
    })) {
      const outputs = await runner.run(batch.images, batch.count, [LOGITS_LAYER]);
      const logits = await outputs.read(LOGITS_LAYER);
      outputs.release();
      for (let first = 0; first < batch.count * classes; first += classes, index++) {
        const picture = pictures[index];
        if (picture === undefined) throw new Error(`internal: ${count} pictures have more than ${index} answers`);
        if (this.#judge(picture, logits.subarray(first, first + classes)).length > 0) abstained += 1;
      }
    }
    return abstained;
  }

  #judge(pixels: Uint8Array, logits: ArrayLike<number>): AbstentionReason[] {
    const score = scoreCertainty(logits, this.#rule.score, this.#manifest.temperature);
    const roughness = measureRoughness(pixels, this.#manifest.architecture.inputShape);
    return findReasons({ score, roughness }, this.#rule);
  }
}

/** Each by random numbers of its own, the n-th one from the n-th test image where its kind needs one. */
function drawPictures(
  { test, imageShape }: Dataset,
  { kind, images }: { kind: ForeignKind; images: number },
): Uint8Array[] {
  const size = test.pixels.length / test.count;
  const random = createRandom(SEED).fork('foreign', kind);
  return Array.from({ length: images }, (_, index) =>
    drawForeignPicture(
      { pixels: test.pixels.subarray(index * size, (index + 1) * size), shape: imageShape },
      { kind, random: random.fork(index) },
    ),
  );
}

function joinPictures(pictures: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const size = pictures[0]?.length ?? 0;
  const joined = new Uint8Array(pictures.length * size);
  for (const [index, picture] of pictures.entries()) joined.set(picture, index * size);
  return joined;
}
