/** The bodies of everything about evaluation, as schemas; the other part of the HTTP contract is `api.ts`. */
import { z } from 'zod';
import { ABSTENTION_REASONS } from './abstention.ts';
import { modelReferenceSchema, problemSchema } from './api.ts';
import { calibrationSchema, parityRecordSchema, evaluationSchema, manifestSchema, shareSchema } from './manifest.ts';

const countSchema = z.int().nonnegative();
const indicesSchema = z.array(countSchema).describe('Places in the test set, from 0.');

const classFiguresSchema = z.object({
  label: z.string(),
  support: countSchema.describe('Images of the class.'),
  predicted: countSchema.describe('Images that were taken for the class.'),
  precision: shareSchema.nullable(),
  recall: shareSchema.nullable(),
  f1: shareSchema.nullable(),
});

/** What is measured of a model on labelled images, whoever measures. */
export const evaluationReportSchema = z.object({
  n: z.int().positive(),
  correct: countSchema,
  accuracy: shareSchema,
  loss: z.number().describe('Mean cross-entropy of the calibrated probabilities, in nats.'),
  classes: z.array(classFiguresSchema),
  confusion: z.array(z.array(countSchema)).describe('[true class][predicted class]'),
  calibration: calibrationSchema.nullable().describe('Before and after the temperature.'),
  riskCoverage: z
    .object({
      points: z
        .array(z.object({ threshold: z.number(), coverage: z.number(), risk: z.number() }))
        .describe(
          'Answers with at least `threshold` are given: which share that is, and which share of them is wrong.',
        ),
      area: z.number().describe('Under the whole curve, as steps; 0 is perfect.'),
    })
    .nullable(),
  mistakes: z
    .array(z.object({ label: z.string(), predicted: z.string(), indices: indicesSchema }))
    .nullable()
    .describe('The wrong cells of the confusion matrix with their images, the largest cell first.'),
});

export const robustnessReportSchema = z.object({
  definition: z.string().describe('Names the corruptions: our own, seeded; they are not CIFAR-10-C.'),
  seed: z.int(),
  n: z.int().positive().describe('The first images of the test set.'),
  clean: shareSchema.describe('Accuracy on the same images as they are.'),
  mean: z.number().describe('Mean accuracy over all corruptions and severities.'),
  corruptions: z.array(z.object({ name: z.string(), severity: z.int().positive(), accuracy: shareSchema })),
});

export const abstentionReportSchema = z.object({
  n: z.int().positive().describe('Images of the test set.'),
  coverage: shareSchema.describe('Share of them that is answered.'),
  accuracy: shareSchema.nullable().describe('Of the answers that are given; null where none is.'),
  reasons: z.record(z.enum(ABSTENTION_REASONS), countSchema).describe('Images with each sign; one may have two.'),
  definition: z.string().describe('Names the foreign pictures: our own, seeded.'),
  seed: z.int(),
  foreign: z
    .array(z.object({ name: z.string(), n: z.int().positive(), abstained: shareSchema }))
    .describe('Pictures of nothing that the model was trained for; not to be answered is right.'),
});

export const missingPartSchema = z.object({
  part: z.enum(['metrics', 'calibration', 'answers', 'robustness', 'abstention']),
  command: z.string().describe('What the operator runs to have it measured.'),
});

export const modelEvaluationSchema = z.object({
  model: z.object({ id: z.string(), name: z.string() }),
  dataset: evaluationSchema.shape.dataset,
  measured: evaluationSchema
    .pick({ createdAt: true, runtime: true, hardware: true, commit: true, command: true })
    .describe('When and where the test set was measured.'),
  provenance: manifestSchema.shape.provenance.describe('Where the weights come from.'),
  report: evaluationReportSchema.nullable(),
  robustness: robustnessReportSchema.nullable(),
  abstention: abstentionReportSchema.nullable().describe('Null where the model has no thresholds.'),
  parity: z.array(parityRecordSchema).describe('How far two runtimes differ on the same images.'),
  missing: z.array(missingPartSchema).describe('What was not measured, with the command that does.'),
});

const comparedModelSchema = z.object({ id: z.string(), name: z.string(), accuracy: shareSchema });

export const modelComparisonSchema = z.object({
  first: comparedModelSchema,
  second: comparedModelSchema,
  dataset: evaluationSchema.shape.dataset,
  n: z.int().positive(),
  change: z.number().describe('Accuracy of the second minus that of the first.'),
  p: z.number().describe('Exact McNemar, two-sided: how likely such a difference is if both are equally good.'),
  agreement: shareSchema.describe('Share of the images to which both give the same answer, right or wrong.'),
  bothRight: countSchema,
  bothWrong: countSchema,
  onlyFirstRight: indicesSchema,
  onlySecondRight: indicesSchema,
  classes: z.array(
    z.object({
      label: z.string(),
      support: countSchema,
      first: shareSchema.nullable().describe('Recall.'),
      second: shareSchema.nullable(),
      onlyFirstRight: countSchema,
      onlySecondRight: countSchema,
      p: z.number().describe('On the images of the class, not corrected for the number of classes.'),
    }),
  ),
});

/** What `POST /evaluate` takes. */
export const EVALUATION_MEDIA_TYPES = {
  records: 'application/octet-stream',
  lines: 'application/x-ndjson',
  form: 'multipart/form-data',
} as const;

/** What it tells, in this order; `problem` ends it instead of `result`. */
export const evaluationEventSchema = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('start'),
    model: modelReferenceSchema,
    total: countSchema.nullable().describe('Pictures to come, where the request says so.'),
  }),
  z.object({ type: z.literal('progress'), n: countSchema, correct: countSchema, accuracy: z.number() }),
  z.object({ type: z.literal('result'), model: modelReferenceSchema, report: evaluationReportSchema }),
  z.object({ type: z.literal('problem'), problem: problemSchema }),
]);

export type EvaluationEvent = z.infer<typeof evaluationEventSchema>;
export type ModelEvaluation = z.infer<typeof modelEvaluationSchema>;
export type ModelComparison = z.infer<typeof modelComparisonSchema>;
export type MissingPart = z.infer<typeof missingPartSchema>;
