/** How a request without a body says which picture is meant: a token of /classify, or a sample. */
import { z } from '@hono/zod-openapi';
import type { NamedInput } from '../../shared/api.ts';
import { ProductError } from '../../shared/errors.ts';
import { prepareToken, type ModelInput } from '../inference/model-input.ts';
import type { TakenModel } from '../model-pool/model-pool.ts';
import type { ProblemCode } from '../problem.ts';
import type { Services } from '../services.ts';

/** Fields of a query. */
export const INPUT_FIELDS = {
  input: z
    .string()
    .optional()
    .openapi({ param: { description: 'The token of a picture, from /classify.' } }),
  sample: z
    .string()
    .optional()
    .openapi({
      param: { description: 'The name of a sample, from /samples. Without input and sample: the default one.' },
    }),
};

/** What can be wrong with them, beside 'request/invalid'. */
export const INPUT_PROBLEMS = ['token/invalid', 'sample/unknown'] as const satisfies readonly ProblemCode[];

export interface InputChoice {
  input?: string | undefined;
  sample?: string | undefined;
}

/** Errors: 'request/invalid' when both are given. */
export function checkInputChoice({ input, sample }: InputChoice): void {
  if (input === undefined || sample === undefined) return;
  throw new ProductError('request/invalid', 'got input and sample; one of them, or neither, is expected');
}

/** The picture, and how an answer names it. Errors: 'token/invalid', 'sample/unknown'. */
export async function prepareNamedInput(
  { input: token, sample: sampleName }: InputChoice,
  { services, model }: { services: Pick<Services, 'samples'>; model: Pick<TakenModel, 'classifier' | 'manifest'> },
): Promise<{ input: ModelInput; name: NamedInput }> {
  if (token !== undefined) {
    const input = await prepareToken(token, model.manifest);
    return { input, name: { sha256: input.sha256 } };
  }
  const sample = await services.samples.read(sampleName);
  const input = await model.classifier.prepare(sample.bytes);
  return { input, name: { sample: sample.name, label: sample.label } };
}
