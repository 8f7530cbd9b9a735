import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { answerComparison, answerEvaluation, type MeasuredModel } from '../../../serve/answer/evaluation-answer.ts';
import { isWorthLogging } from '../../../serve/problem.ts';
import { makeSharedFolder } from '../../support/temporary-folder.ts';
import { measureTinyModel } from '../../support/tiny-evaluation.ts';
import { writeTinyModel } from '../../support/tiny-model.ts';

let first: MeasuredModel;
let second: MeasuredModel;

beforeAll(async () => {
  const root = await makeSharedFolder();
  const measure = async (seed: number): Promise<MeasuredModel> => {
    const folder = path.join(root, String(seed));
    const manifest = await writeTinyModel(folder, { seed });
    return { manifest, evaluation: await measureTinyModel(folder, { robustnessImages: 4 }) };
  };
  [first, second] = [await measure(1), await measure(2)];
});

function catchError(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    return error;
  }
}

describe('the answer about a model', () => {
  it('is complete when everything was measured', () => {
    const answer = answerEvaluation(first);
    expect(answer.missing).toEqual([]);
    expect(answer.report?.n).toBe(60);
    expect(answer.robustness?.corruptions.length).toBe(21);
    expect(answer.model.id).toBe(first.manifest.modelId);
  });

  it('names what an older record lacks, with the command that measures it', () => {
    const { answers: _answers, calibration: _calibration, robustness: _robustness, ...older } = first.evaluation;
    const { report, missing } = answerEvaluation({ ...first, evaluation: older });
    expect(report).toMatchObject({ n: 60, mistakes: null, calibration: null, riskCoverage: null });
    expect(missing).toEqual([
      { part: 'calibration', command: 'npm run model -- evaluate --model DIR' },
      { part: 'answers', command: 'npm run model -- evaluate --model DIR' },
      { part: 'robustness', command: 'npm run model -- evaluate --model DIR --robustness 500' },
    ]);
  });

  it('tells what not answering costs and gains, and misses it of a model that has thresholds only', () => {
    const abstention = {
      images: 200,
      answered: 190,
      correct: 171,
      reasons: { unsure: 8, 'too-smooth': 1, 'too-rough': 2 },
      definition: 'ours',
      seed: 1,
      foreign: [{ name: 'noise', images: 50, abstained: 50 }],
    };
    const answer = answerEvaluation({ ...first, evaluation: { ...first.evaluation, abstention } });
    expect(answer.abstention).toMatchObject({
      n: 200,
      coverage: { value: 0.95 },
      accuracy: { value: 0.9 },
      foreign: [{ name: 'noise', n: 50, abstained: { value: 1 } }],
    });
    expect(answerEvaluation(first).abstention).toBeNull();
    const rule = {
      score: 'energy',
      threshold: 1,
      roughness: { min: 1, max: 30 },
      coverage: 0.95,
      images: 5000,
    } as const;
    const careful = { ...first, manifest: { ...first.manifest, abstention: rule } };
    expect(answerEvaluation(careful).missing).toEqual([
      { part: 'abstention', command: 'npm run model -- evaluate --model DIR' },
    ]);
  });

  it('has no report of a model of which only parity was measured', () => {
    const { answers: _answers, ...checked } = { ...first.evaluation, metrics: null };
    const { report, missing } = answerEvaluation({ ...first, evaluation: checked });
    expect(report).toBeNull();
    expect(missing.map(({ part }) => part)).toEqual(['metrics', 'answers']);
  });
});

describe('the answer about two models', () => {
  it('counts the same from both sides', () => {
    const there = answerComparison(first, second);
    const back = answerComparison(second, first);
    expect(there.first.id).toBe(first.manifest.modelId);
    expect(there.onlyFirstRight).toEqual(back.onlySecondRight);
    expect(there.onlyFirstRight.length + there.onlySecondRight.length).toBeGreaterThan(0);
    expect(there.p).toBe(back.p);
    expect(there.change).toBeCloseTo(there.second.accuracy.value - there.first.accuracy.value, 12);
    const right = first.evaluation.metrics?.correct;
    expect(there.bothRight + there.onlyFirstRight.length).toBe(right);
  });

  it('is refused for another test set, and where the answers were not kept', () => {
    const elsewhere = { ...second.evaluation, dataset: { ...second.evaluation.dataset, sha256: 'e'.repeat(64) } };
    const other = catchError(() => answerComparison(first, { ...second, evaluation: elsewhere }));
    expect(other).toMatchObject({ code: 'evaluation/incomparable' });
    const { answers: _answers, ...older } = second.evaluation;
    const missing = catchError(() => answerComparison(first, { ...second, evaluation: older }));
    expect(missing).toMatchObject({ code: 'evaluation/missing', details: { command: expect.any(String) } });
    // Gaps are no trouble of the server's.
    expect([isWorthLogging(other), isWorthLogging(missing)]).toEqual([false, false]);
  });
});
