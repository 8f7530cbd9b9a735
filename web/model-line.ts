/** Which model answers: its name, the beginning of its id, and its size, all from the API. */
import type { LayerDescription, LayerList } from '../shared/api.ts';
import { findElement } from './element.ts';
import { formatCount } from './number-text.ts';

/** Enough of the id to tell models apart by eye; the whole one is in the title. */
const SHORT_ID_LENGTH = 8;

export function shortenId(modelId: string): string {
  return modelId.slice(0, SHORT_ID_LENGTH);
}

interface ShownModel {
  model: LayerList['model'];
  layers: readonly LayerDescription[];
  classes: number;
}

export interface ModelLine {
  show(model: ShownModel): void;
  /** Which change of the champion gave the last answer; nothing of a pinned model, and before the first change. */
  showRelease(seq: number | null): void;
}

export function createModelLine(): ModelLine {
  const name = findElement('model-name', HTMLElement);
  const id = findElement('model-id', HTMLElement);
  const seq = findElement('model-seq', HTMLElement);
  const size = findElement('model-size', HTMLElement);

  return {
    show({ model, layers, classes }) {
      const parameters = layers.reduce((sum, layer) => sum + layer.parameters, 0);
      name.textContent = model.name;
      id.textContent = shortenId(model.id);
      id.title = model.id;
      size.textContent = `${formatCount(parameters)} parameters, ${formatCount(layers.length)} layers, ${formatCount(classes)} classes`;
    },
    showRelease(number) {
      seq.textContent = number === null || number === 0 ? '' : `release ${number}`;
    },
  };
}
