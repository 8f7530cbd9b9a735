/** The picture as it was given, with the square that the network gets of it, and the small picture that it saw. */
import { contextOf, createElement, findElement } from './element.ts';
import { formatShape } from './number-text.ts';
import type { PictureSize } from './read-image.ts';

/** Pictures up to this many times the model's input are not blown up to the whole frame. */
const SMALL_FACTOR = 2;

interface GivenPicture {
  body: Blob;
  name: string;
  /** In pixels, as the server read it. */
  width: number;
  height: number;
  /** The size of the file, where this browser scaled it down to `width` and `height`. */
  scaledFrom?: PictureSize | undefined;
  note?: string | undefined;
}

export interface InputFigure {
  /** Makes room for a model input of that shape. */
  reserve(shape: readonly number[]): void;
  /** Rejects without a change to the page when the signal is aborted before the picture is decoded. */
  show(given: GivenPicture, seen: ImageData, signal: AbortSignal): Promise<void>;
}

export function createInputFigure(): InputFigure {
  const frame = findElement('given', HTMLDivElement);
  const canvas = findElement('seen', HTMLCanvasElement);
  const givenCaption = findElement('given-caption', HTMLElement);
  const seenCaption = findElement('seen-caption', HTMLElement);
  let shownUrl: string | undefined;

  return {
    reserve([height = 1, width = 1]) {
      canvas.width = width;
      canvas.height = height;
      seenCaption.textContent = `What it sees: ${joinSize({ width, height })} pixels.`;
    },
    async show({ body, name, width, height, scaledFrom, note }, seen, signal) {
      const url = URL.createObjectURL(body);
      const picture = createElement('img', { attributes: { src: url, alt: `The given picture, ${name}` } });
      // A picture that the server read but this browser cannot is no reason to hide the answer.
      await picture.decode().catch((error: unknown) => {
        if (!(error instanceof DOMException)) throw error;
      });
      // Decoding a large picture takes long enough for another one to be asked for.
      if (signal.aborted) URL.revokeObjectURL(url);
      signal.throwIfAborted();
      if (shownUrl !== undefined) URL.revokeObjectURL(shownUrl);
      shownUrl = url;

      const isSquare = width === height;
      const crop = createElement('span', { className: 'crop', attributes: { 'aria-hidden': 'true' } });
      const sheet = createElement('span', { className: 'sheet', children: isSquare ? [picture] : [picture, crop] });
      sheet.style.setProperty('--ratio', String(width / height));
      sheet.style.setProperty('--width', String(width));
      sheet.classList.toggle('is-tall', height > width);
      sheet.classList.toggle('is-small', Math.max(width, height) <= SMALL_FACTOR * seen.width);
      frame.replaceChildren(sheet);

      givenCaption.textContent = [
        `${name}, ${describeSize({ width, height }, scaledFrom)}.`,
        ...(isSquare ? [] : ['The network gets the bright square in the middle.']),
        ...(note === undefined ? [] : [note]),
      ].join(' ');

      canvas.width = seen.width;
      canvas.height = seen.height;
      contextOf(canvas).putImageData(seen, 0, 0);
    },
  };
}

/** In one piece: a line must not end in the middle of a size. */
function joinSize({ width, height }: PictureSize): string {
  return formatShape([width, height]).replaceAll(' ', '\u00a0');
}

function describeSize({ width, height }: PictureSize, scaledFrom: PictureSize | undefined): string {
  const size = joinSize({ width, height });
  if (scaledFrom === undefined) return size;
  if (scaledFrom.width === width)
    return `${size}, sent as a PNG of this browser, since the server does not take the file as it is`;
  return `${joinSize(scaledFrom)}, scaled down here to ${size} before sending`;
}
