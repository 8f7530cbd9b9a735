/** From whatever was thrown to what a person is told. What is nobody's mistake but ours goes to the console too. */
import { ProductError } from '../shared/errors.ts';
import { ApiFailure } from './api-client.ts';
import type { NoticeOptions } from './notice.ts';
import { toSentence } from './number-text.ts';
import { PictureTooLarge } from './read-image.ts';

/** `retry` is offered where the same request may succeed a moment later. */
export function explainFailure(error: unknown, retry: () => void): NoticeOptions {
  if (error instanceof ApiFailure) {
    const action = { label: 'Try again', act: retry };
    return { title: error.title, text: error.message, ...(error.isTemporary ? { action } : {}) };
  }
  if (error instanceof PictureTooLarge) return { title: 'This file is too large.', text: error.message };
  if (error instanceof ProductError) return { title: 'That did not work.', text: toSentence(error.message) };
  console.error(error);
  return { title: 'This page has a bug.', text: "Reload it; the browser's console has the details." };
}
