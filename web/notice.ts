/** The one place for errors: a bar at the bottom edge, so that it is seen from everywhere and moves nothing. */
import { createElement, findElement } from './element.ts';

export interface NoticeOptions {
  title: string;
  text: string;
  /** Offered as a button that also closes the notice. */
  action?: { label: string; act: () => void };
}

export interface Notice {
  show(options: NoticeOptions): void;
  hide(): void;
}

export function createNotice(): Notice {
  const container = findElement('notice', HTMLDivElement);

  function hide(): void {
    container.replaceChildren();
  }

  function show({ title, text, action }: NoticeOptions): void {
    const message = createElement('p', {
      children: [createElement('strong', { text: title }), ` ${text}`].map(toNode),
    });
    const actions = createElement('div', { className: 'notice-actions' });
    if (action !== undefined) {
      actions.append(
        createButton(action.label, () => {
          hide();
          action.act();
        }),
      );
    }
    actions.append(createButton('Close', hide));
    container.replaceChildren(createElement('div', { className: 'notice', children: [message, actions] }));
  }

  document.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') hide();
  });
  return { show, hide };
}

function createButton(text: string, act: () => void): HTMLButtonElement {
  const button = createElement('button', { text, attributes: { type: 'button' } });
  button.addEventListener('click', act);
  return button;
}

function toNode(part: Node | string): Node {
  return typeof part === 'string' ? document.createTextNode(part) : part;
}
