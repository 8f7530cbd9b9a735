import { WORD } from '../word.ts';

export const REQUEST: string = WORD;
