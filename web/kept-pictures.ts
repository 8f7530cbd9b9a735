/**
 * The last pictures of the user's own, for this tab: name and token (the small picture itself) in the tab's session
 * storage, so that they survive a reload; the files only as long as the page lives. Nothing of it leaves the tab.
 */
import { z } from './validator.ts';
import type { OwnPicture } from './view-state.ts';
import type { PictureToSend } from './read-image.ts';

const STORAGE_KEY = 'resnet18-edge/pictures';
/** A token has at most about 4 kB, session storage 5 MB. */
export const MOST_KEPT = 12;

const keptSchema = z.array(z.object({ token: z.string(), fileName: z.string() })).max(MOST_KEPT);

export interface KeptPicture extends OwnPicture {
  /** What was sent; gone after a reload. */
  sent?: PictureToSend | undefined;
}

export interface KeptPictures {
  /** Newest first. */
  list(): readonly KeptPicture[];
  find(token: string): KeptPicture | undefined;
  /** Puts the picture first, and drops the oldest beyond `MOST_KEPT`. Known pictures keep their place. */
  keep(picture: KeptPicture): void;
  forgetAll(): void;
}

type TextStorage = Pick<Storage, 'getItem' | 'setItem'>;

/** `openStorage` may throw: browsers that keep no site data do so at the first look. */
export function createKeptPictures(openStorage: () => TextStorage): KeptPictures {
  let pictures: readonly KeptPicture[] = readStored(openStorage);

  function write(next: readonly KeptPicture[]): void {
    pictures = next;
    const stored = pictures.map(({ token, fileName }) => ({ token, fileName }));
    // Storage may be full or forbidden; then the list lives as long as the page.
    ignoreStorageErrors(() => openStorage().setItem(STORAGE_KEY, JSON.stringify(stored)));
  }

  return {
    list: () => pictures,
    find: (token) => pictures.find((each) => each.token === token),
    keep(picture) {
      const isKnown = pictures.some(({ token }) => token === picture.token);
      write(
        isKnown
          ? pictures.map((each) => (each.token === picture.token ? { ...each, ...picture } : each))
          : [picture, ...pictures].slice(0, MOST_KEPT),
      );
    },
    forgetAll: () => write([]),
  };
}

function readStored(openStorage: () => TextStorage): readonly KeptPicture[] {
  const text = ignoreStorageErrors(() => openStorage().getItem(STORAGE_KEY));
  if (text === undefined || text === null) return [];
  try {
    return keptSchema.safeParse(JSON.parse(text)).data ?? [];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

/** `undefined` where the browser forbids storage (SecurityError) or has no room (QuotaExceededError). */
function ignoreStorageErrors<Result>(act: () => Result): Result | undefined {
  try {
    return act();
  } catch (error) {
    if (error instanceof DOMException) return undefined;
    throw error;
  }
}
