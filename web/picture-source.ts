/** Where the current picture comes from: that decides its name, its true label, and what a link to it says. */
import type { KeptPicture } from './kept-pictures.ts';
import type { Sample } from './sample-strip.ts';
import type { OwnPicture } from './view-state.ts';

export type PictureSource =
  | { kind: 'sample'; sample: Sample }
  /** Just handed in: what it looks like to the network is not known yet. */
  | { kind: 'file'; file: File }
  /** Handed in before, in this tab; its file is there until a reload. */
  | { kind: 'kept'; picture: KeptPicture }
  /** Out of a link that somebody made. */
  | { kind: 'link'; token: string };

const LINKED_NAME = 'Picture from a link';

export function nameOf(source: PictureSource): string {
  switch (source.kind) {
    case 'sample':
      return source.sample.label;
    case 'file':
      return source.file.name;
    case 'kept':
      return source.picture.fileName;
    case 'link':
      return LINKED_NAME;
  }
}

/** The picture that this tab keeps under `token`, where the user handed it in. */
export function ownPictureOf(source: PictureSource, token: string): OwnPicture | undefined {
  return source.kind === 'file' || source.kind === 'kept' ? { token, fileName: nameOf(source) } : undefined;
}

/** Equal for equal pictures; `undefined` for a file, which is always taken as new. */
export function keyOf(source: PictureSource): string | undefined {
  switch (source.kind) {
    case 'sample':
      return `sample ${source.sample.name}`;
    case 'file':
      return undefined;
    case 'kept':
      return `own ${source.picture.token}`;
    case 'link':
      return `link ${source.token}`;
  }
}
