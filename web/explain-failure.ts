/** From whatever was thrown to what a person is told. What is nobody's mistake but ours goes to the console too. */
import { ApiError } from '../shared/client/api-error.ts';
import { ProductError } from '../shared/errors.ts';
import type { NoticeOptions } from './notice.ts';
import { toSentence } from './number-text.ts';
import { PictureTooLarge } from './read-image.ts';

/** `retry` is offered where the same request may succeed a moment later. */
export function explainFailure(error: unknown, retry: () => void): NoticeOptions {
  if (error instanceof ApiError) {
    const action = { label: 'Try again', act: retry };
    return { ...describe(error), ...(error.isTemporary ? { action } : {}) };
  }
  if (error instanceof PictureTooLarge) return { title: 'This file is too large.', text: error.message };
  if (error instanceof ProductError) return { title: 'That did not work.', text: toSentence(error.message) };
  console.error(error);
  return { title: 'This page has a bug.', text: "Reload it; the browser's console has the details." };
}

/** The server's own words, and for what no server says, words about this page. */
function describe({ code, title, message }: ApiError): { title: string; text: string } {
  if (code === 'client/unreachable' && !navigator.onLine) {
    return { title: 'You are offline.', text: 'What is shown stays. Try again when you are connected.' };
  }
  if (code === 'client/unexpected-answer') {
    return {
      title: 'The server answered in another way than this page expects.',
      text: 'Page and server are probably of different versions. Reload the page.',
    };
  }
  return { title: toSentence(title), text: toSentence(message) };
}
