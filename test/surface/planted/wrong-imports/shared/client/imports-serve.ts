import { APP } from '../../serve/app.ts';

export const FROM_SERVE: string = APP;
