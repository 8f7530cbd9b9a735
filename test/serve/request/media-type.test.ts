import { expect, test } from 'vitest';
import { negotiateFormat } from '../../../serve/request/media-type.ts';

test.each([
  [undefined, 'json'],
  ['*/*', 'json'],
  ['', 'json'],
  ['application/json', 'json'],
  ['image/png', 'png'],
  ['IMAGE/PNG', 'png'],
  ['image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8', 'png'],
  ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'json'],
  ['application/json;q=0.5, image/png;q=0.6', 'png'],
  ['application/json, image/png;q=0.6', 'json'],
  ['image/png;q=0, */*', 'json'],
  ['application/x-npy', 'npy'],
  ['application/octet-stream', 'atlas'],
  ['application/json;q=0.3, application/*;q=0.9', 'npy'],
  ['*/*;q=0.1, application/json;q=0, image/png;q=0', 'npy'],
  ['application/json;version=1;q=0.2, image/png;q=0.1', 'json'],
  ['image/png;q=lots', 'png'],
])('an Accept of %s prefers %s', (accept, format) => {
  expect(negotiateFormat(accept)).toBe(format);
});

test.each(['image/jpeg', 'text/html', '*/*;q=0', 'application/json;q=0', 'json'])(
  'an Accept of %s allows no form, and is told those that there are',
  (accept) => {
    expect(() => negotiateFormat(accept)).toThrow(
      expect.objectContaining({
        code: 'request/not-acceptable',
        details: { offers: ['application/json', 'image/png', 'application/x-npy', 'application/octet-stream'] },
      }),
    );
  },
);
