/** Which model answers: its name, the beginning of its id, and its size, all from the API. */
import type { LayerDescription, LayerList } from '../shared/api.ts';
import { findElement } from './element.ts';
import { formatCount } from './number-text.ts';

/** Enough of the id to tell models apart by eye; the whole one is in the title. */
const SHORT_ID_LENGTH = 8;

interface ShownModel {
  model: LayerList['model'];
  layers: readonly LayerDescription[];
  classes: number;
}

export interface ModelLine {
  show(model: ShownModel): void;
  /** Who gave the last answer; `publication` is its number in the store, where the server says so. */
  showAnswer(model: LayerList['model'], publication: number | undefined): void;
}

export function createModelLine(): ModelLine {
  const name = findElement('model-name', HTMLElement);
  const id = findElement('model-id', HTMLElement);
  const seq = findElement('model-seq', HTMLElement);
  const size = findElement('model-size', HTMLElement);

  function showName(model: LayerList['model']): void {
    name.textContent = model.name;
    id.textContent = model.id.slice(0, SHORT_ID_LENGTH);
    id.title = model.id;
  }

  return {
    show({ model, layers, classes }) {
      const parameters = layers.reduce((sum, layer) => sum + layer.parameters, 0);
      showName(model);
      size.textContent = `${formatCount(parameters)} parameters, ${formatCount(layers.length)} layers, ${formatCount(classes)} classes`;
    },
    showAnswer(model, publication) {
      showName(model);
      seq.textContent = publication === undefined ? '' : `publication ${publication}`;
    },
  };
}
