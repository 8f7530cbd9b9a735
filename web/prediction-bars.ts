/** The answer: a verdict in words, and one bar with its percentage for each class, most likely first. */
import type { Prediction } from '../shared/api.ts';
import { createElement, findElement } from './element.ts';
import { formatPercent, withArticle } from './number-text.ts';

/** Below it, the most likely class is named as a guess. */
const SURE_FROM = 0.5;

interface BarRow {
  item: HTMLLIElement;
  name: HTMLSpanElement;
  mark: HTMLSpanElement;
  fill: HTMLSpanElement;
  percent: HTMLSpanElement;
}

export interface PredictionBars {
  /** Empty rows, so that the answer moves nothing when it comes. */
  reserve(classes: number): void;
  show(predictions: readonly Prediction[], trueLabel: string | undefined): void;
  setBusy(isBusy: boolean): void;
}

export function createPredictionBars(): PredictionBars {
  const list = findElement('bars', HTMLOListElement);
  const verdict = findElement('verdict', HTMLParagraphElement);
  const comparison = findElement('comparison', HTMLParagraphElement);
  let rows: BarRow[] = [];

  return {
    reserve(classes) {
      rows = Array.from({ length: classes }, createRow);
      list.replaceChildren(...rows.map(({ item }) => item));
    },
    show(predictions, trueLabel) {
      const [best] = predictions;
      if (best === undefined) throw new Error('internal: an answer without predictions');
      verdict.textContent = sayVerdict(best);
      comparison.textContent = compareLabels(best, { trueLabel, classes: predictions.length });
      rows.forEach((row, index) => {
        const prediction = predictions[index];
        row.item.hidden = prediction === undefined;
        if (prediction === undefined) return;
        row.name.textContent = prediction.label;
        row.mark.textContent = prediction.label === trueLabel ? ' true' : '';
        row.percent.textContent = formatPercent(prediction.score);
        row.fill.style.setProperty('--share', String(prediction.score));
        row.item.classList.toggle('is-first', index === 0);
      });
    },
    setBusy(isBusy) {
      list.setAttribute('aria-busy', String(isBusy));
    },
  };
}

export function sayVerdict({ label, score }: Prediction): string {
  return score >= SURE_FROM ? `It sees ${withArticle(label)}.` : `Not sure. Perhaps ${withArticle(label)}.`;
}

interface Comparison {
  trueLabel: string | undefined;
  classes: number;
}

export function compareLabels({ label }: Prediction, { trueLabel, classes }: Comparison): string {
  if (trueLabel === undefined) return `It knows these ${classes} classes and nothing else.`;
  return label === trueLabel ? `Right: the true label is ${trueLabel}.` : `Wrong: the true label is ${trueLabel}.`;
}

function createRow(): BarRow {
  const name = createElement('span');
  const mark = createElement('span', { className: 'bar-mark' });
  const fill = createElement('span', { className: 'bar-fill' });
  const percent = createElement('span', { className: 'bar-percent' });
  const label = createElement('span', { className: 'bar-label', children: [name, mark] });
  const track = createElement('span', {
    className: 'bar-track',
    attributes: { 'aria-hidden': 'true' },
    children: [fill],
  });
  const item = createElement('li', { className: 'bar', children: [label, track, percent] });
  return { item, name, mark, fill, percent };
}
