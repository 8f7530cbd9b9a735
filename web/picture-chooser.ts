/** The ways to hand in a picture of one's own: the file input, the camera, dropping and pasting anywhere on the page. */
import { findElement } from './element.ts';

interface PictureChooserOptions {
  /** Something was dropped or pasted that is no file, or more than one. */
  explain: (title: string, text: string) => void;
  /** A picture came before there was somebody to take it; the last one waits. */
  defer: (file: File) => void;
}

export interface PictureChooser {
  /** From now on pictures go to `choose`. Gives the one that waits, if any. */
  open(choose: (file: File) => void): File | undefined;
}

/** Dropped and pasted files are taken at once: a browser would open them in place of a page that still loads. */
export function createPictureChooser({ explain, defer }: PictureChooserOptions): PictureChooser {
  let waiting: File | undefined;
  let take = (file: File): void => {
    waiting = file;
    defer(file);
  };
  const inputs = [findElement('file', HTMLInputElement), findElement('camera', HTMLInputElement)];
  const receiver: Receiver = { choose: (file) => take(file), explain };
  for (const input of inputs) takeChosenFiles(input, receiver);
  takeDroppedFiles(receiver);
  takePastedFiles(receiver);

  return {
    open(choose) {
      take = choose;
      // Until there is somebody to take a picture, none can be chosen.
      for (const input of inputs) input.disabled = false;
      const file = waiting;
      waiting = undefined;
      return file;
    },
  };
}

interface Receiver {
  choose: (file: File) => void;
  explain: PictureChooserOptions['explain'];
}

function takeChosenFiles(input: HTMLInputElement, { choose }: Receiver): void {
  input.addEventListener('change', () => {
    const [file] = input.files ?? [];
    if (file !== undefined) choose(file);
    // The same file, chosen again after an error, is a change too.
    input.value = '';
  });
}

function takeDroppedFiles({ choose, explain }: Receiver): void {
  const page = document.documentElement;
  let depth = 0;
  const setDepth = (next: number): void => {
    depth = Math.max(0, next);
    page.toggleAttribute('data-dropping', depth > 0);
  };
  const carriesFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') === true;

  // Every element that is entered and left reports it, so the page counts.
  page.addEventListener('dragenter', (event) => {
    if (carriesFiles(event)) setDepth(depth + 1);
  });
  page.addEventListener('dragleave', (event) => {
    if (carriesFiles(event)) setDepth(depth - 1);
  });
  page.addEventListener('dragover', (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    if (event.dataTransfer !== null) event.dataTransfer.dropEffect = 'copy';
  });
  page.addEventListener('drop', (event) => {
    setDepth(0);
    if (!carriesFiles(event)) return;
    event.preventDefault();
    const [file, ...rest] = event.dataTransfer?.files ?? [];
    if (file === undefined) {
      explain('No file was dropped.', 'Drop a PNG, JPEG or WebP file, or choose one.');
      return;
    }
    choose(file);
    if (rest.length > 0) explain('One picture at a time.', `This is ${file.name}; the others were left out.`);
  });
}

function takePastedFiles({ choose, explain }: Receiver): void {
  document.addEventListener('paste', (event) => {
    const [file, ...rest] = event.clipboardData?.files ?? [];
    if (file === undefined) {
      explain('There is no picture in the clipboard.', 'Copy a picture, not its address, and paste again.');
      return;
    }
    event.preventDefault();
    // Browsers call every copied picture image.png.
    const isNameless = file.name === '' || file.name === 'image.png';
    choose(isNameless ? new File([file], 'Pasted picture', { type: file.type }) : file);
    if (rest.length > 0) explain('One picture at a time.', `This is ${file.name}; the others were left out.`);
  });
}
