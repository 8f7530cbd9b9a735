/** Which model this view is of: whichever the server answers with, or always the same one. The choice is in the link. */
import type { LayerList, ModelList } from '../shared/api.ts';
import { createElement, findElement } from './element.ts';
import { shortenId } from './model-line.ts';

export type ListedModel = Pick<ModelList['models'][number], 'id' | 'name' | 'classNames'> &
  Partial<Pick<ModelList['models'][number], 'aliases'>>;

interface ModelChoiceOptions {
  models: readonly ListedModel[];
  /** The one that answers when none is asked for. */
  answering: LayerList['model'];
  /** With the id of the model that is always to answer; `undefined`: whichever answers. */
  choose: (modelId: string | undefined) => void;
}

export interface ModelChoice {
  mark(modelId: string | undefined): void;
}

export function createModelChoice({ models, answering, choose }: ModelChoiceOptions): ModelChoice {
  const select = findElement('model-choice', HTMLSelectElement);
  select.replaceChildren(
    createOption('', `Whichever answers, now ${answering.name}`),
    ...models.map((model) => createOption(model.id, `Always ${describeModel(model)}`)),
  );
  select.addEventListener('change', () => choose(select.value === '' ? undefined : select.value));
  return {
    mark(modelId) {
      select.value = modelId ?? '';
    },
  };
}

function createOption(value: string, text: string): HTMLOptionElement {
  return createElement('option', { text, attributes: { value } });
}

/** Several models may have one name: the beginning of the id tells them apart. */
export function describeModel({ id, name, aliases = [] }: Omit<ListedModel, 'classNames'>): string {
  const known = [
    ...(aliases.includes('previous') ? ['the one before'] : []),
    ...(aliases.includes('shipped') ? ['shipped'] : []),
  ];
  return [`${name} (${shortenId(id)})`, ...known].join(', ');
}
