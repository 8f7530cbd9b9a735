/**
 * The story of a run: split, start or resume, train epoch by epoch, validate, and measure the test set once at the end.
 *
 * A run is a pure function of its configuration and data: interrupted and resumed, it ends with the same bits. The test
 * set chooses nothing; there is no best epoch, the last one counts.
 */
import { setImmediate } from 'node:timers/promises';
import { z } from 'zod';
import { ProductError } from '../shared/errors.ts';
import { metricsSchema } from '../shared/manifest.ts';
import type { Metrics } from '../shared/manifest.ts';
import { buildLayerTable } from '../shared/resnet.ts';
import { stepsPerEpoch } from './batches.ts';
import { calibrate, findAbstention, measureAnswers } from './calibrate.ts';
import type { Answers } from './calibrate.ts';
import { pruneCheckpoints, writeCheckpoint } from './checkpoint.ts';
import type { CheckpointHeader, CheckpointTensor } from './checkpoint.ts';
import type { TrainConfig } from './config.ts';
import { splitValidation } from './dataset.ts';
import type { Dataset, LabelledImages } from './dataset.ts';
import type { Engine } from './engine/engine.ts';
import { describeMeasurements } from './engine/formulations.ts';
import { EpochBatches } from './epoch-batches.ts';
import { evaluateNetwork } from './evaluate.ts';
import { initializeParameters } from './initialize.ts';
import { assertTrainable } from './network.ts';
import { createProgressBar } from './progress-bar.ts';
import type { ProgressStream } from './progress-bar.ts';
import { createRandom } from './random.ts';
import { readForResume } from './resume.ts';
import { addMeters, describeMaker, firstHeader, NO_METERS, weightOf } from './run-header.ts';
import type { Meters } from './run-header.ts';
import { createRunFolder } from './run-folder.ts';
import { writeTestAnswers } from './report/test-answers.ts';
import { writeReport } from './report/write-report.ts';
import { appendEvent } from './run-log.ts';
import { learningRateAt } from './schedule.ts';
import { drawSparkline } from './sparkline.ts';
import { appendScalars, startEventFile } from './tensorboard/event-file.ts';
import { TrainingState } from './training-state.ts';
import type { TensorGroups } from './training-state.ts';

export interface TrainRequest {
  config: TrainConfig;
  dataset: Dataset;
  engine: Engine;
  /** Must not exist, unless the run is resumed. */
  runFolder: string;
  /** Continue from the latest checkpoint of the run folder. */
  isResumed: boolean;
  /** Parameters and moving statistics to start from; `config.startsFrom` says whose they are. */
  startParameters?: ReadonlyMap<string, CheckpointTensor>;
  /** Once aborted, the run writes a checkpoint after the current step and returns. */
  signal?: AbortSignal;
  /** Stop as if interrupted after this many updates in all. */
  maxSteps?: number;
  /** Where the progress bar and messages go. */
  stream?: ProgressStream;
}

export interface TrainResult {
  isFinished: boolean;
  checkpoint: string;
  /** Metrics on the official test set; null when the run did not come to its end. */
  test: Metrics | null;
}

/** Updates in one point of the training curve; a run that is stopped in between starts its next point anew. */
const LOG_EVERY_STEPS = 25;

const epochRecordSchema = z.strictObject({
  /** From 1. */
  epoch: z.int(),
  step: z.int(),
  learningRate: z.number(),
  training: z.strictObject({ loss: z.number(), accuracy: z.number() }),
  validation: metricsSchema.pick({ n: true, accuracy: true, loss: true }).nullable(),
  durationSeconds: z.number(),
  imagesPerSecond: z.number(),
});

/** What is kept of each finished epoch, in the log and in checkpoints. */
export type EpochRecord = z.infer<typeof epochRecordSchema>;

export async function trainAndEvaluate(request: TrainRequest): Promise<TrainResult> {
  const run = await Run.open(request);
  try {
    return await run.finish();
  } finally {
    await run.close();
  }
}

class Run {
  readonly #request: TrainRequest;
  readonly #engine: Engine;
  readonly #table: ReturnType<typeof buildLayerTable>;
  readonly #training: LabelledImages;
  readonly #validation: LabelledImages;
  readonly #state: TrainingState;
  readonly #batches: EpochBatches;
  readonly #bar: ReturnType<typeof createProgressBar>;
  /** All of the checkpoint's header that changes while the run goes on. */
  #header: CheckpointHeader;
  /** Steps that the log does not have yet. */
  #unlogged = NO_METERS;
  /** How much of them was waiting for a batch. */
  #unloggedWaitMs = 0;
  /** Of the current epoch, as far as this process computed it. */
  #epochTime = { waitMs: 0, totalMs: 0 };

  private constructor(request: TrainRequest, header: CheckpointHeader, groups: TensorGroups | null) {
    const { config, dataset, engine } = request;
    this.#request = request;
    this.#engine = engine;
    this.#header = header;
    this.#table = buildLayerTable(header.architecture);
    assertTrainable(this.#table);
    const split = splitValidation(dataset.training, {
      validationCount: config.validationImages,
      classes: dataset.classNames.length,
      random: createRandom(config.seed).fork('split'),
    });
    this.#training = split.training;
    this.#validation = split.validation;
    this.#state = new TrainingState(engine, this.#table, groups ?? this.#firstValues(), config);
    this.#batches = new EpochBatches({ config, dataset, images: split.training });
    if (groups?.imageLosses !== undefined) this.#batches.restore(header.epoch, groups.imageLosses);
    const total = this.#stepsInEpoch * config.epochs;
    this.#bar = createProgressBar(request.stream === undefined ? { total } : { total, stream: request.stream });
  }

  static async open(request: TrainRequest): Promise<Run> {
    const { config, runFolder } = request;
    if (request.isResumed) return Run.#resume(request);
    // Made first: what it refuses leaves no folder behind.
    const run = new Run(request, await firstHeader(request), null);
    try {
      await createRunFolder(runFolder, config);
      await appendEvent(runFolder, { event: 'start', ...run.#facts() });
      await startEventFile(runFolder, { step: 0 });
    } catch (error) {
      await run.close();
      throw error;
    }
    return run;
  }

  static async #resume(request: TrainRequest): Promise<Run> {
    const { engine, runFolder } = request;
    const { header, groups } = await readForResume(request);
    // The log has every start and resume; a model names the commit and the machine that finished it.
    const current = { ...header, ...(await describeMaker(engine)) };
    engine.formulations?.pin(header.formulations ?? {});
    const run = new Run(request, current, groups);
    await appendEvent(runFolder, { event: 'resume', step: header.step, ...run.#facts() });
    await startEventFile(runFolder, { step: header.step });
    return run;
  }

  /** Of an epoch with all images: in these steps the schedule and the progress bar count. */
  get #stepsInEpoch(): number {
    return stepsPerEpoch(this.#training.count, this.#request.config.batchSize);
  }

  #firstValues(): TensorGroups {
    const { config, startParameters } = this.#request;
    if ((config.startsFrom === null) !== (startParameters === undefined)) {
      throw new Error('internal: the configuration and the parameters to start from do not belong together');
    }
    if (startParameters !== undefined) return { parameters: startParameters };
    const random = createRandom(config.seed).fork('initialize');
    const values = initializeParameters(this.#table, random, { lastGamma: config.lastGamma });
    const shaped = this.#table
      .flatMap((row) => row.parameters)
      .map(({ name, shape }) => [name, { shape, values: values.get(name) ?? new Float32Array(0) }] as const);
    return { parameters: new Map(shaped) };
  }

  #facts(): Record<string, unknown> {
    const { run, seed, dataset, dataSha256, commit, hardware } = this.#header;
    const images = { training: this.#training.count, validation: this.#validation.count };
    return { run, seed, dataset, dataSha256, commit, hardware, images, engine: this.#engine.device };
  }

  async finish(): Promise<TrainResult> {
    const { config, runFolder } = this.#request;
    let checkpoint: string | undefined;
    while (this.#header.epoch < config.epochs) {
      const isInterrupted = await this.#finishEpoch();
      if (this.#header.epoch === config.epochs) {
        await this.#adoptAverage();
        await this.#calibrate();
      }
      checkpoint = await this.#save();
      if (isInterrupted) {
        await appendEvent(runFolder, { event: 'interrupted', step: this.#header.step });
        this.#bar.end();
        return { isFinished: false, checkpoint, test: null };
      }
    }
    // Resumed behind its last epoch, the run has its checkpoint already.
    checkpoint ??= await this.#save();
    const { metrics: test, answers } = await this.#answer(this.#request.dataset.test, 'test');
    const { metrics: mirrored } = await this.#answer(this.#request.dataset.test, 'test, mirrored too', 'mirrored');
    const { step, classNames, calibration } = this.#header;
    const calibrated = measureAnswers(answers, classNames, calibration?.temperature ?? 1);
    await appendEvent(runFolder, { event: 'test', step, metrics: test, calibrated, mirrored });
    this.#bar.log(`test, mean of each image and its mirror image: ${(100 * mirrored.accuracy).toFixed(2)} %`);
    await appendScalars(runFolder, step, { 'loss/test': test.loss, 'accuracy/test': test.accuracy });
    const { dataset } = this.#request;
    await writeTestAnswers(runFolder, { dataset, answers, step, temperature: calibration?.temperature ?? 1 });
    await writeReport(runFolder);
    this.#bar.end();
    return { isFinished: true, checkpoint, test };
  }

  /** The finished network is the average of the last ones, if the configuration says so. */
  async #adoptAverage(): Promise<void> {
    const { weightAverage } = this.#request.config;
    if (weightAverage === null) return;
    await this.#state.adoptAverage(this.#batches.first(this.#header.epoch, weightAverage.statisticsBatches));
    if (this.#validation.count === 0) return;
    const { n, accuracy, loss } = (await this.#answer(this.#validation, 'validation')).metrics;
    const event = { event: 'average', step: this.#header.step, validation: { n, accuracy, loss } };
    await appendEvent(this.#request.runFolder, event);
    this.#bar.log(`averaged parameters: validation ${(100 * accuracy).toFixed(2)} % (n = ${n})`);
  }

  /** Fit the temperature and the thresholds that the finished network needs; without validation images there are none. */
  async #calibrate(): Promise<void> {
    if (this.#validation.count === 0) return;
    const { answers } = await this.#answer(this.#validation, 'validation');
    const fitted = calibrate(answers, this.#header.classNames);
    const { imageShape } = this.#request.dataset;
    const abstention = findAbstention(answers, {
      pixels: this.#validation.pixels,
      imageShape,
      temperature: fitted.temperature ?? 1,
    });
    const calibration = abstention === undefined ? fitted : { ...fitted, abstention };
    this.#header = { ...this.#header, calibration };
    await appendEvent(this.#request.runFolder, { event: 'calibration', step: this.#header.step, ...calibration });
    const { temperature, images, expectedCalibrationError: error } = calibration;
    this.#bar.log(
      temperature === null
        ? `no temperature: the ${images} validation images do not tell one`
        : `temperature ${temperature.toFixed(3)}: calibration error ${error.before.toFixed(4)} before, ${error.after.toFixed(4)} after (validation, n = ${images})`,
    );
  }

  /** The rest of the current epoch; returns whether it was interrupted before its end. */
  async #finishEpoch(): Promise<boolean> {
    const { config, signal, maxSteps = Number.POSITIVE_INFINITY } = this.#request;
    const { epoch, stepInEpoch } = this.#header;
    this.#epochTime = { waitMs: 0, totalMs: 0 };
    // The clock runs while a batch is waited for: that is part of a step.
    let startedAt = performance.now();
    for await (const batch of this.#batches.run(epoch, stepInEpoch)) {
      const waitMs = performance.now() - startedAt;
      this.#unloggedWaitMs += waitMs;
      if (signal?.aborted === true || this.#header.step >= maxSteps) return true;
      const { step } = this.#header;
      const { labelSmoothing } = config;
      const options = { step, learningRate: this.#learningRateAt(this.#header.stepInEpoch), labelSmoothing };
      const { loss, correct, weight, losses } = await this.#state.step(batch, options);
      if (!Number.isFinite(loss)) {
        throw new ProductError(
          'training/diverged',
          `the loss is ${loss} at step ${step}; the last checkpoint is kept; start again with a lower learning rate`,
        );
      }
      this.#batches.record(epoch, batch, losses);
      const durationMs = performance.now() - startedAt;
      this.#count({ images: batch.count, weight, correct, lossSum: loss * weight, durationMs });
      this.#epochTime.waitMs += waitMs;
      this.#epochTime.totalMs += durationMs;
      this.#draw(loss);
      await this.#logFormulations();
      if (this.#header.stepInEpoch % LOG_EVERY_STEPS === 0) await this.#logSteps();
      if (this.#header.stepInEpoch % config.checkpointEverySteps === 0) await this.#save();
      // Signals are delivered only when the event loop gets a turn.
      await setImmediate();
      startedAt = performance.now();
    }
    await this.#closeEpoch();
    return false;
  }

  /** Where the run is after so many updates of the current epoch, in steps as if each epoch had all images. */
  #positionAfter(stepInEpoch: number): number {
    const { epoch } = this.#header;
    return epoch * this.#stepsInEpoch + stepInEpoch * (this.#stepsInEpoch / this.#batches.stepsIn(epoch));
  }

  /** Of the update that is done after so many updates of the current epoch. */
  #learningRateAt(stepInEpoch: number): number {
    const { config } = this.#request;
    const totalSteps = this.#stepsInEpoch * config.epochs;
    return learningRateAt(config.schedule, { step: this.#positionAfter(stepInEpoch), totalSteps });
  }

  #count(step: Meters): void {
    const { meters } = this.#header;
    this.#unlogged = addMeters(this.#unlogged, step);
    this.#header = {
      ...this.#header,
      step: this.#header.step + 1,
      stepInEpoch: this.#header.stepInEpoch + 1,
      meters: addMeters(meters, step),
    };
  }

  /** One point of the training curve: the mean over the steps since the last one. */
  async #logSteps(): Promise<void> {
    const { images, correct, lossSum, durationMs } = this.#unlogged;
    const weight = weightOf(this.#unlogged);
    const [durationSeconds, waitSeconds] = [durationMs / 1000, this.#unloggedWaitMs / 1000];
    this.#unlogged = NO_METERS;
    this.#unloggedWaitMs = 0;
    if (images === 0) return;
    const { step, stepInEpoch } = this.#header;
    const learningRate = this.#learningRateAt(stepInEpoch - 1);
    const { runFolder } = this.#request;
    const [loss, accuracy] = [lossSum / weight, correct / weight];
    const time = { durationSeconds, waitSeconds };
    await appendEvent(runFolder, { event: 'steps', step, learningRate, loss, accuracy, images, ...time });
    const scalars = { 'loss/training': loss, 'accuracy/training': accuracy, 'learning rate': learningRate };
    await appendScalars(runFolder, step, scalars);
  }

  async #logFormulations(): Promise<void> {
    const { formulations } = this.#engine;
    const measured = formulations?.takeMeasurements() ?? [];
    if (formulations === undefined || measured.length === 0) return;
    const { runFolder } = this.#request;
    const chosen = formulations.list();
    await appendEvent(runFolder, { event: 'formulations', step: this.#header.step, chosen, measured });
    this.#bar.log(describeMeasurements(measured));
  }

  #draw(loss: number): void {
    const { epoch, stepInEpoch, meters } = this.#header;
    const parts = [
      `epoch ${epoch + 1}/${this.#request.config.epochs}`,
      `loss ${loss.toFixed(3)}`,
      `accuracy ${((100 * meters.correct) / weightOf(meters)).toFixed(1)} %`,
      `${(meters.images / (meters.durationMs / 1000)).toFixed(0)} images/s`,
    ];
    this.#bar.update({ done: Math.floor(this.#positionAfter(stepInEpoch)), parts });
  }

  async #closeEpoch(): Promise<void> {
    await this.#logSteps();
    const { meters, epoch, step, stepInEpoch, history } = this.#header;
    const validation =
      this.#validation.count === 0 ? null : (await this.#answer(this.#validation, 'validation')).metrics;
    const record: EpochRecord = {
      epoch: epoch + 1,
      step,
      learningRate: this.#learningRateAt(stepInEpoch - 1),
      training: { loss: meters.lossSum / weightOf(meters), accuracy: meters.correct / weightOf(meters) },
      validation: validation && { n: validation.n, accuracy: validation.accuracy, loss: validation.loss },
      durationSeconds: meters.durationMs / 1000,
      imagesPerSecond: meters.images / (meters.durationMs / 1000),
    };
    this.#header = {
      ...this.#header,
      epoch: epoch + 1,
      stepInEpoch: 0,
      meters: NO_METERS,
      history: [...history, record],
    };
    const { runFolder } = this.#request;
    const { waitMs, totalMs } = this.#epochTime;
    const waitShare = totalMs === 0 ? 0 : waitMs / totalMs;
    await appendEvent(runFolder, { event: 'epoch', ...record, waitShare });
    await appendScalars(runFolder, step, {
      'images per second': record.imagesPerSecond,
      ...(validation && { 'loss/validation': validation.loss, 'accuracy/validation': validation.accuracy }),
    });
    const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;
    const held = validation === null ? '' : `, validation ${percent(validation.accuracy)} (n = ${validation.n})`;
    this.#bar.log(
      `epoch ${record.epoch}: training ${percent(record.training.accuracy)}, loss ${record.training.loss.toFixed(4)}${held}, ${record.imagesPerSecond.toFixed(0)} images/s, waited ${percent(waitShare)}  ${drawTrend(this.#header.history as EpochRecord[])}`,
    );
  }

  /** Metrics of a split, as the network computes (temperature 1), and the logits themselves. */
  async #answer(
    images: LabelledImages,
    split: string,
    views: 'one' | 'mirrored' = 'one',
  ): Promise<{ metrics: Metrics; answers: Answers }> {
    const { config, dataset } = this.#request;
    const startedAt = performance.now();
    const logits = new Float32Array(images.count * dataset.classNames.length);
    let filled = 0;
    const metrics = await evaluateNetwork({
      engine: this.#engine,
      table: this.#table,
      parameters: this.#state.parameters,
      classNames: dataset.classNames,
      images,
      imageShape: dataset.imageShape,
      normalization: dataset.normalization,
      batchSize: config.evaluationBatchSize,
      views,
      onAnswers: (values) => {
        logits.set(values, filled);
        filled += values.length;
      },
      onProgress: (done) => {
        const rate = done / ((performance.now() - startedAt) / 1000);
        const parts = [`${split} ${done}/${images.count}`, `${rate.toFixed(0)} images/s`];
        this.#bar.update({ done: Math.floor(this.#positionAfter(this.#header.stepInEpoch)), parts });
      },
    });
    return { metrics, answers: { logits, labels: images.labels } };
  }

  async #save(): Promise<string> {
    const { runFolder, config } = this.#request;
    await this.#logFormulations();
    const formulations = this.#engine.formulations?.list();
    const header = formulations === undefined ? this.#header : { ...this.#header, formulations };
    const groups = await this.#state.snapshot();
    const imageLosses = this.#batches.snapshot(header.epoch);
    if (imageLosses !== undefined) groups.set('imageLosses', imageLosses);
    const folder = await writeCheckpoint(runFolder, { header, groups });
    await pruneCheckpoints(runFolder, { keep: config.keptCheckpoints });
    return folder;
  }

  async close(): Promise<void> {
    this.#state.dispose();
    await this.#batches.close();
  }
}

/** The validation accuracy of the epochs so far in one line; the training loss where nothing is held out. */
function drawTrend(epochs: readonly EpochRecord[]): string {
  return drawSparkline(epochs.map(({ training, validation }) => validation?.accuracy ?? training.loss));
}
