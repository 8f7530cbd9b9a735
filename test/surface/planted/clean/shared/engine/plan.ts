import { WORD } from '../word.ts';

export const PLAN: string = WORD;
