/** The boundary of a form, read once: who counts the parts and who parses them must mean the same one. */
import { ProductError } from '../../shared/errors.ts';

/** As RFC 2046, 5.1.1 allows it. */
const BOUNDARY = /^[\w'()+,./:=? -]{0,69}[\w'()+,./:=?-]$/;

/**
 * One parameter behind its semicolon (RFC 9110, 5.6.6), or none there. Values without quotes may have what boundaries do
 * though it should be quoted, but for commas, which two headers would be joined with.
 */
const PARAMETER = /[ \t]*;[ \t]*(?:([\w!#$%&'*+.^`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s";,\\]+)))?/y;

/** @param contentType as HTTP writes it. Errors: 'request/malformed-multipart' without a boundary, or with several. */
export function readBoundary(contentType: string): string {
  const start = contentType.indexOf(';');
  const boundaries: string[] = [];
  PARAMETER.lastIndex = start === -1 ? contentType.length : start;
  let end = PARAMETER.lastIndex;
  for (let found = PARAMETER.exec(contentType); found !== null; found = PARAMETER.exec(contentType)) {
    const [, name, quoted, plain] = found;
    if (name?.toLowerCase() === 'boundary') boundaries.push(plain ?? quoted?.replaceAll(/\\(.)/g, '$1') ?? '');
    end = PARAMETER.lastIndex;
  }
  const [boundary] = boundaries;
  const isWhole = contentType.slice(end).trim() === '';
  if (isWhole && boundaries.length === 1 && boundary !== undefined && BOUNDARY.test(boundary)) return boundary;
  throw new ProductError(
    'request/malformed-multipart',
    `the content type does not say where the parts of the form end; "multipart/form-data; boundary=..." is expected, with one boundary of up to 70 letters, digits and '()+_,-./:=?`,
  );
}

/** The content type that says so to every parser. */
export function writeFormType(boundary: string): string {
  return `multipart/form-data; boundary="${boundary}"`;
}
