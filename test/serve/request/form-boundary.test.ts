import { expect, test } from 'vitest';
import { readBoundary, writeFormType } from '../../../serve/request/form-boundary.ts';

test.each([
  ['boundary=abc', 'abc'],
  ['BOUNDARY="a b:c"', 'a b:c'],
  ['charset=utf-8; boundary=----=_Part/1:2', '----=_Part/1:2'],
  ['x=";boundary=abc"; boundary=r', 'r'],
  ['x="\\";boundary=abc"; boundary="r\\r"', 'rr'],
  ['xboundary=abc;; boundary=r ;', 'r'],
  [`boundary=${'x'.repeat(70)}`, 'x'.repeat(70)],
])('the boundary of multipart/form-data; %s is %s', (parameters, boundary) => {
  expect(readBoundary(`multipart/form-data; ${parameters}`)).toBe(boundary);
});

test.each([
  '',
  'multipart/form-data',
  'multipart/form-data; boundary=',
  'multipart/form-data; boundary=""',
  'multipart/form-data; boundary=a; boundary=a',
  'multipart/form-data; boundary=a; Boundary=b',
  'multipart/form-data; boundary=a, multipart/form-data; boundary=b',
  'multipart/form-data; boundary=a b',
  'multipart/form-data; boundary="a',
  'multipart/form-data; boundary="a"b',
  'multipart/form-data; boundary =a',
  'multipart/form-data; boundary="a "',
  'multipart/form-data; boundary="a\\"b"',
  'multipart/form-data; boundary=ä',
  'multipart/form-data; boundary=a; x="b',
  `multipart/form-data; boundary=${'x'.repeat(71)}`,
])('%j is refused: parsers differ about it', (contentType) => {
  expect(() => readBoundary(contentType)).toThrow(expect.objectContaining({ code: 'request/malformed-multipart' }));
});

test('what is written is read as the same boundary', () => {
  for (const boundary of ['a', "'()+_,-./:=? x"]) expect(readBoundary(writeFormType(boundary))).toBe(boundary);
});
