import { describe, expect, it } from 'vitest';
import { compareLabels, sayVerdict } from '../../web/prediction-bars.ts';

const predict = (label: string, score: number): { label: string; score: number; index: number; logit: number } => ({
  label,
  score,
  index: 0,
  logit: 0,
});

describe('the verdict', () => {
  it('names a class that is at least as likely as all others together', () => {
    expect(sayVerdict(predict('ship', 0.5))).toBe('It sees a ship.');
  });

  it('only guesses below that', () => {
    expect(sayVerdict(predict('airplane', 0.49))).toBe('Not sure. Perhaps an airplane.');
  });

  it('is compared with the label where there is one', () => {
    const best = predict('ship', 0.9);
    expect(compareLabels(best, { trueLabel: 'ship', classes: 10 })).toBe('Right: the true label is ship.');
    expect(compareLabels(best, { trueLabel: 'truck', classes: 10 })).toBe('Wrong: the true label is truck.');
  });

  it('says what the network can know where there is no label', () => {
    expect(compareLabels(predict('ship', 0.9), { trueLabel: undefined, classes: 10 })).toBe(
      'It knows these 10 classes and nothing else.',
    );
  });
});
