/**
 * The files of the page (its assets, samples and shipped models) as answers to requests that no route answers: a folder
 * on Node, the static assets on Workers.
 */
export interface PageFiles {
  /** The answer to GET or HEAD, with the headers of the file, to which others are added; undefined where there is no file. `/` is the page. */
  answer(request: Request): Promise<Response | undefined>;
}

export const PAGE_PATH = '/index.html';

/** What every file can be asked for. */
const FILE_METHODS = ['GET', 'HEAD'];

/** The file that the request asks for, or the methods of that file where it asks for something else. */
export async function findFile(page: PageFiles, request: Request): Promise<Response | string[]> {
  if (FILE_METHODS.includes(request.method)) return (await page.answer(request)) ?? [];
  const file = await page.answer(new Request(request.url, { method: 'HEAD' }));
  return file === undefined ? [] : FILE_METHODS;
}
