/** The last pictures of the user's own as thumbnails: each leads back to its picture. */
import { contextOf, createElement, findElement } from './element.ts';
import type { KeptPicture } from './kept-pictures.ts';

interface KeptStripOptions {
  choose: (picture: KeptPicture) => void;
  forget: () => void;
  /** The pixels of a token, or `undefined` for a token that this model cannot take. */
  readPixels: (token: string) => Promise<ImageData | undefined>;
}

export interface KeptStrip {
  show(pictures: readonly KeptPicture[]): void;
  /** `undefined`: the current picture is none of them. */
  mark(token: string | undefined): void;
}

export function createKeptStrip({ choose, forget, readPixels }: KeptStripOptions): KeptStrip {
  const list = findElement('kept', HTMLUListElement);
  const empty = findElement('kept-empty', HTMLParagraphElement);
  const forgetButton = findElement('kept-forget', HTMLButtonElement);
  const buttons = new Map<string, HTMLButtonElement>();
  forgetButton.addEventListener('click', () => {
    forget();
    // The button that was clicked is gone; the keyboard goes on from where pictures come from.
    findElement('file', HTMLInputElement).focus();
  });

  async function paint(canvas: HTMLCanvasElement, token: string): Promise<void> {
    const pixels = await readPixels(token);
    if (pixels === undefined) return;
    canvas.width = pixels.width;
    canvas.height = pixels.height;
    contextOf(canvas).putImageData(pixels, 0, 0);
  }

  function createThumbnail(picture: KeptPicture): HTMLButtonElement {
    const canvas = createElement('canvas', { attributes: { width: '32', height: '32', 'aria-hidden': 'true' } });
    const button = createElement('button', {
      className: 'thumbnail',
      attributes: { type: 'button', 'aria-pressed': 'false', 'aria-label': picture.fileName, title: picture.fileName },
      children: [canvas],
    });
    button.addEventListener('click', () => choose(picture));
    void paint(canvas, picture.token);
    return button;
  }

  return {
    show(pictures) {
      const known = new Map(buttons);
      buttons.clear();
      for (const picture of pictures) {
        buttons.set(picture.token, known.get(picture.token) ?? createThumbnail(picture));
      }
      list.replaceChildren(...[...buttons.values()].map((button) => createElement('li', { children: [button] })));
      const isEmpty = pictures.length === 0;
      list.hidden = isEmpty;
      empty.hidden = !isEmpty;
      forgetButton.hidden = isEmpty;
    },
    mark(token) {
      for (const [each, button] of buttons) button.setAttribute('aria-pressed', String(each === token));
    },
  };
}
