/**
 * zod as this page may use it, to be imported before any schema is made: compiled validators need `new Function`, which the
 * content security policy forbids, and the first schema already tries whether it is there.
 */
import { z } from 'zod';

z.config({ jitless: true });

export { z };
