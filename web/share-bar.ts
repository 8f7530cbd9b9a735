/** The link to what is shown: what of it stands in the address, said in words, and buttons that copy it. */
import { findElement } from './element.ts';
import { formatShape } from './number-text.ts';

/** What the address knows of the current picture. */
export type PictureInLink = 'sample' | 'own-unshared' | 'own-shared' | 'from-link';

interface ShareBarOptions {
  /** [height, width, 3] of what the network sees, which is all that a link can carry of a picture. */
  inputShape: readonly number[];
  /** Puts the picture into the address or takes it out, and gives the link. */
  share: (withPicture: boolean) => string;
}

export interface ShareBar {
  show(picture: PictureInLink): void;
}

export function createShareBar({ inputShape: [height = 1, width = 1], share }: ShareBarOptions): ShareBar {
  const words = findElement('share-words', HTMLParagraphElement);
  const status = findElement('share-status', HTMLParagraphElement);
  const copyButton = findElement('copy-link', HTMLButtonElement);
  const pictureButton = findElement('copy-picture', HTMLButtonElement);
  const size = formatShape([width, height]);
  const wordsOf: Record<PictureInLink, string> = {
    sample: 'The address names sample, layer and channel.',
    'own-unshared': `Your picture is not in the address. A link with it carries the ${size} pixels that the network saw, and nothing more.`,
    'own-shared': `The address carries the ${size} pixels that the network saw. Copy a link without them to take them out again.`,
    'from-link': `This picture came with the link: the ${size} pixels that the network saw.`,
  };
  let shown: PictureInLink = 'sample';

  async function copy(withPicture: boolean): Promise<void> {
    const link = share(withPicture);
    const isCopied = await copyText(link);
    status.textContent = isCopied ? 'Link copied.' : 'This browser does not let the page copy. Copy the address.';
  }

  copyButton.addEventListener('click', () => void copy(shown === 'from-link'));
  pictureButton.addEventListener('click', () => void copy(true));

  return {
    show(picture) {
      shown = picture;
      const isOwn = picture === 'own-unshared' || picture === 'own-shared';
      words.textContent = wordsOf[picture];
      copyButton.textContent = isOwn ? 'Copy link without picture' : 'Copy link';
      pictureButton.hidden = !isOwn;
      status.textContent = '';
    },
  };
}

/** False where the browser has no clipboard for this page (it wants https) or forbids it. */
async function copyText(text: string): Promise<boolean> {
  // The types promise a clipboard; a page that came over plain http has none.
  const { clipboard } = navigator as { clipboard?: Clipboard };
  try {
    await clipboard?.writeText(text);
    return clipboard !== undefined;
  } catch (error) {
    if (error instanceof DOMException) return false;
    throw error;
  }
}
