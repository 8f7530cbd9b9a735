import { REQUEST } from '../shared/client/request.ts';
import { WORD } from '../shared/word.ts';

document.title = WORD;
export const TITLE: string = REQUEST;
