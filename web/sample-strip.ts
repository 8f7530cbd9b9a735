/** The pictures that the server offers, each with its true label; one of them may be the current one. */
import type { SampleList } from '../shared/api.ts';
import { createElement, findElement } from './element.ts';

export type Sample = SampleList['samples'][number];

export interface SampleStrip {
  show(samples: readonly Sample[]): void;
  /** `undefined`: the current picture is none of them. */
  mark(name: string | undefined): void;
  /** What the network made of a sample, at its picture. */
  judge(name: string, isRight: boolean): void;
}

export function createSampleStrip({ choose }: { choose: (sample: Sample) => void }): SampleStrip {
  const list = findElement('samples', HTMLUListElement);
  const buttons = new Map<string, HTMLButtonElement>();

  return {
    show(samples) {
      buttons.clear();
      for (const sample of samples) {
        const picture = createElement('img', {
          attributes: { src: sample.url, alt: '', width: '32', height: '32', loading: 'lazy' },
        });
        const button = createElement('button', {
          className: 'sample',
          attributes: { type: 'button', 'aria-pressed': 'false' },
          children: [picture, createElement('span', { text: sample.label }), createElement('span')],
        });
        button.addEventListener('click', () => choose(sample));
        buttons.set(sample.name, button);
      }
      list.replaceChildren(...[...buttons.values()].map((button) => createElement('li', { children: [button] })));
    },
    mark(name) {
      for (const [each, button] of buttons) button.setAttribute('aria-pressed', String(each === name));
    },
    judge(name, isRight) {
      const mark = buttons.get(name)?.lastElementChild;
      if (!mark) throw new Error(`internal: there is no sample ${name} to judge`);
      mark.className = `sample-mark ${isRight ? 'is-right' : 'is-wrong'}`;
      const words = isRight ? ', recognised' : ', not recognised';
      mark.replaceChildren(
        createElement('span', { text: isRight ? '✓' : '✗', attributes: { 'aria-hidden': 'true' } }),
        createElement('span', { className: 'unseen', text: words }),
      );
    },
  };
}
