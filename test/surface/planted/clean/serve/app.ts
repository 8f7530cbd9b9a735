import { PLAN } from '../shared/engine/plan.ts';
import { PICTURE } from '../shared/image/picture.ts';
import { WORD } from '../shared/word.ts';

export const APP: string = WORD + PICTURE + PLAN;
