/** What the API promises about evaluation, on Node and in workerd; whatever model is there, as long as it was measured. */
import { describe, expect, test } from 'vitest';
import { modelComparisonSchema, modelEvaluationSchema } from '../../shared/evaluation-api.ts';
import { describeClasses, wilsonInterval } from '../../shared/metrics.ts';
import { readAnswer, readProblem, type Send } from './api-client.ts';

export function describeEvaluationApi(platform: string, send: Send) {
  const read = async (path = '/evaluation') => readAnswer(await send(path), modelEvaluationSchema);

  describe(`the evaluation of the champion on ${platform}`, () => {
    test('has figures that follow from its confusion matrix, and intervals', async () => {
      const { report } = await read();
      if (report === null) expect.fail('not measured');
      const { n, correct, confusion, classes, accuracy } = report;
      expect(confusion.flat().reduce((a, b) => a + b)).toBe(n);
      expect(confusion.reduce((sum, row, index) => sum + (row[index] ?? 0), 0)).toBe(correct);
      expect(accuracy).toEqual({ value: correct / n, interval: wilsonInterval(correct, n) });
      const labels = classes.map(({ label }) => ({ label, support: 0, precision: null, recall: null, f1: null }));
      expect(classes).toEqual(describeClasses({ classes: labels, confusion }));
    });

    test('shows the images of each wrong cell, or says which command measures them', async () => {
      const { report, missing } = await read();
      if (report === null) expect.fail('not measured');
      if (report.mistakes === null) {
        expect(missing).toContainEqual({ part: 'answers', command: 'npm run model -- evaluate --model DIR' });
        return;
      }
      const names = report.classes.map(({ label }) => label);
      for (const { label, predicted, indices } of report.mistakes) {
        expect(indices.length).toBe(report.confusion[names.indexOf(label)]?.[names.indexOf(predicted)]);
      }
      const wrong = report.mistakes.flatMap(({ indices }) => indices);
      expect(new Set(wrong).size).toBe(report.n - report.correct);
      const last = report.riskCoverage?.points.at(-1);
      expect(last?.coverage).toBe(1);
      expect(last?.risk).toBeCloseTo(1 - report.correct / report.n, 12);
    });

    test('is about the model that answers, and names where it was measured', async () => {
      const response = await send('/evaluation');
      const { model, measured, provenance } = await readAnswer(response, modelEvaluationSchema);
      expect(response.headers.get('x-model-id')).toBe(model.id);
      expect(measured.hardware).not.toBe('');
      expect(provenance.run).not.toBe('');
    });

    test('is the same under the name of the model, and 304 to who has it', async () => {
      const response = await send('/evaluation');
      const champion = await readAnswer(response, modelEvaluationSchema);
      expect(await read(`/models/${champion.model.id}/evaluation`)).toEqual(champion);
      expect(await read('/models/champion/evaluation')).toEqual(champion);
      expect(response.headers.get('cache-control')).toBe('no-cache');
      const etag = response.headers.get('etag') ?? expect.fail('no ETag');
      for (const path of ['/evaluation', `/models/${champion.model.id}/evaluation`]) {
        const again = await send(path, { headers: { 'if-none-match': etag } });
        expect([again.status, await again.text()]).toEqual([304, '']);
      }
    });

    test('compared with itself has no flips, or the answers are missing', async () => {
      const { report } = await read();
      const response = await send('/models/champion/compare/champion');
      if (report?.mistakes === null || report === null) {
        const problem = await readProblem(response);
        expect(problem).toMatchObject({ code: 'evaluation/missing', status: 404 });
        expect(problem.detail).toContain('npm run model -- evaluate');
        return;
      }
      const same = response;
      const etag = same.headers.get('etag') ?? expect.fail('no ETag');
      const { n, p, agreement, onlyFirstRight, change } = await readAnswer(same, modelComparisonSchema);
      expect({ n, p, onlyFirstRight, change }).toEqual({ n: report.n, p: 1, onlyFirstRight: [], change: 0 });
      expect(agreement.value).toBe(1);
      const again = await send('/models/champion/compare/champion', { headers: { 'if-none-match': etag } });
      expect(again.status).toBe(304);
    });

    test('refuses models and parameters that it does not know', async () => {
      for (const path of ['/models/nobody/evaluation', '/models/champion/compare/nobody']) {
        expect(await readProblem(await send(path))).toMatchObject({ code: 'model/unknown', status: 404 });
      }
      expect(await readProblem(await send('/evaluation?channel=canary'))).toMatchObject({ code: 'channel/unknown' });
      for (const path of ['/evaluation?x=1', '/models/champion/evaluation?x=1', '/models/a/compare/b?x=1']) {
        expect(await readProblem(await send(path))).toMatchObject({ code: 'request/invalid', status: 400 });
      }
    });
  });
}
