/**
 * The docs page: the OpenAPI document as HTML for people. One file without requests, so it works everywhere and its policy
 * can forbid everything else. Its one script is a comfort: the page is whole without it.
 */
import { API_LIMITS } from '../../shared/api.ts';
import { PREPROCESS_ID } from '../../shared/manifest.ts';
import { PROBLEM_KINDS, type ProblemCode } from '../problem.ts';

/** The part of an OpenAPI document that is shown. */
export interface ShownDocument {
  info: { title: string; description?: string };
  /** path -> method -> operation */
  paths?: object;
  components?: { schemas?: object };
}

interface Operation {
  operationId: string;
  summary: string;
  description: string;
  parameters?: Parameter[];
  requestBody?: { content: Record<string, MediaType> };
  responses: Record<string, { description: string; content?: Record<string, MediaType> }>;
  'x-codeSamples'?: CodeSample[];
}

interface CodeSample {
  lang: string;
  label: string;
  source: string;
}

interface Parameter {
  name: string;
  in: string;
  required?: boolean;
  description?: string;
  schema?: { type?: string; enum?: string[]; description?: string };
}

interface MediaType {
  schema?: { $ref?: string; oneOf?: { $ref?: string }[]; description?: string };
}

interface Route {
  method: string;
  path: string;
  operation: Operation;
}

export interface DocsPage {
  html: string;
  /** What is inline, since the page's policy names its hash. */
  style: string;
  script: string;
}

/** `host` is put into the examples. */
export function renderDocs(document: ShownDocument, { host }: { host: string }): DocsPage {
  const routes = listRoutes(document);
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escape(document.info.title)} API</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>${escape(document.info.title)} API</h1>
<p>${escape(document.info.description ?? '')}</p>
<p>For programs: <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1). The page: <a href="/">/</a>.</p>
</header>
<nav aria-label="Routes"><ul>
${routes.map(renderLink).join('\n')}
<li><a href="#pictures">Pictures</a></li>
<li><a href="#problems">Problems</a></li>
<li><a href="#schemas">Schemas</a></li>
</ul></nav>
<main>
${routes.map((route) => renderRoute(route, host)).join('\n')}
${renderPictures()}
${renderProblems()}
${renderSchemas(document)}
</main>
<script>${SCRIPT}</script>
</body>
</html>
`;
  return { html, style: STYLE, script: SCRIPT };
}

function listRoutes({ paths = {} }: ShownDocument): Route[] {
  return Object.entries(paths as Record<string, Record<string, Operation>>).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => ({ method, path, operation })),
  );
}

function renderLink({ method, path, operation }: Route): string {
  return `<li><a href="#${operation.operationId}"><b>${method.toUpperCase()}</b> <code>${escape(path)}</code></a></li>`;
}

function renderRoute({ method, path, operation }: Route, host: string): string {
  const { operationId, summary, description, parameters = [], requestBody, responses } = operation;
  const samples = operation['x-codeSamples'] ?? [];
  return `<section id="${operationId}">
<h2><b>${method.toUpperCase()}</b> <code>${escape(path)}</code> <small>${escape(summary)}</small></h2>
<p>${escape(description)}</p>
${renderSamples(samples, { host, operationId })}
${renderTable(['Parameter', 'In', 'Values', 'Meaning'], parameters.map(toParameterCells))}
${renderTable(['Body', 'Shape'], Object.entries(requestBody?.content ?? {}).map(toMediaCells))}
${renderTable(
  ['Status', 'Meaning', 'Shape'],
  Object.entries(responses).map(([status, { description: meaning, content = {} }]) => [
    `<code>${status}</code>`,
    status >= '400' ? meaning.split(', ').map(linkProblem).join(', ') : escape(meaning),
    Object.entries(content)
      .map((entry) => toMediaCells(entry).filter(Boolean).join(' '))
      .join('<br>'),
  ]),
)}
</section>`;
}

/** The same question in several languages, one of them at a time; without `:has` in the browser, all of them. */
function renderSamples(
  samples: readonly CodeSample[],
  { host, operationId }: { host: string; operationId: string },
): string {
  if (samples.length === 0) return '';
  const choices = samples.map(
    ({ lang, label }, index) =>
      `<label><input type="radio" name="${operationId}-language" value="${lang}"${index === 0 ? ' checked' : ''}> ${label}</label>`,
  );
  const codes = samples.map(
    ({ lang, label, source }) =>
      `<pre data-language="${lang}" tabindex="0" role="group" aria-label="${label}"><code>${escape(source.replaceAll('HOST', host))}</code></pre>`,
  );
  const [only, ...others] = samples;
  const bar =
    others.length === 0
      ? `<span>${only?.label}</span>`
      : `<fieldset><legend>Language</legend>${choices.join('')}</fieldset>`;
  return `<div class="samples"><div class="bar">${bar}</div>${codes.join('\n')}</div>`;
}

function toParameterCells({ name, in: place, required, description, schema }: Parameter): string[] {
  const values = schema?.enum?.map((value) => `<code>${escape(value)}</code>`).join(' ') ?? escape(schema?.type ?? '');
  return [
    `<code>${escape(name)}</code>${required === true ? ' (required)' : ''}`,
    escape(place),
    values,
    escape(description ?? schema?.description ?? ''),
  ];
}

function toMediaCells([type, { schema }]: [string, MediaType]): string[] {
  const references = [schema?.$ref, ...(schema?.oneOf ?? []).map(({ $ref }) => $ref)];
  const links = references.filter((each) => each !== undefined).map(linkSchema);
  return [`<code>${escape(type)}</code>`, links.join(' or ') || escape(schema?.description ?? '')];
}

function renderTable(headings: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return '';
  const head = headings.map((heading) => `<th scope="col">${heading}</th>`).join('');
  const body = rows.map((cells) => `<tr>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`).join('\n');
  return `<div class="table" tabindex="0" role="group" aria-label="${headings.join(', ')}"><table><thead><tr>${head}</tr></thead><tbody>\n${body}\n</tbody></table></div>`;
}

const MEBIBYTE = 1024 * 1024;

/** What shared/image/ and the routes take; the rules themselves are there. */
const ACCEPTED: readonly (readonly [kind: string, rules: string])[] = [
  [
    'PNG',
    'Grey, RGB or palette, with or without alpha or tRNS, 1 to 16 bits (16 are rounded to 8), interlaced or not. Of an animated PNG its default image.',
  ],
  ['JPEG', 'Baseline, extended or progressive, with 8 bits: grey, YCbCr or RGB. At most 64 scans.'],
  ['WebP', 'Lossy or lossless, with or without alpha. Not animated.'],
];

const REFUSED: readonly (readonly [what: string, code: ProblemCode])[] = [
  [`more than ${API_LIMITS.bytesPerImage / MEBIBYTE} MiB (${API_LIMITS.bytesPerImage} bytes)`, 'image/too-large'],
  [`more than ${API_LIMITS.pixelsPerImage} pixels, for example 2048 x 2049, in any shape`, 'image/too-many-pixels'],
  ['any other type: GIF, BMP, TIFF, AVIF, HEIC, JPEG XL, SVG, PDF, text', 'image/unknown-type'],
  [
    'a JPEG in CMYK or YCCK, with 12 bits, arithmetic coding or lossless; an animated WebP; a PNG with an unknown critical chunk',
    'image/unsupported',
  ],
  ['a file that stops before its end', 'image/truncated'],
  ['a wrong checksum, too few or too many image data, chunks out of order, a header that lies', 'image/corrupt'],
  [`more than ${API_LIMITS.filesPerRequest} files in a form`, 'request/too-many-files'],
  [`a form of more than ${API_LIMITS.bytesPerRequest / MEBIBYTE} MiB`, 'request/too-large'],
];

function renderPictures(): string {
  const accepted = ACCEPTED.map(([kind, rules]) => [kind, escape(rules)]);
  const refused = REFUSED.map(([what, code]) => [
    escape(what),
    `<code>${PROBLEM_KINDS[code].status}</code> ${linkProblem(code)}`,
  ]);
  return `<section id="pictures">
<h2>Pictures</h2>
<p>The bytes decide what a file is, never its name or content type. It is decoded, turned upright by its EXIF orientation, put over white where it is transparent, cropped to its central square and resized to the model's input with a triangle filter that averages all pixels; a picture that has the model's size is not touched. Colour profiles are ignored. These rules are called <code>${PREPROCESS_ID}</code>; a model's manifest names those that it was trained with. Bytes behind the end of a picture are ignored.</p>
${renderTable(['Accepted', 'Kinds'], accepted)}
${renderTable(['Refused', 'Problem'], refused)}
<p>Most phones take pictures of 12 megapixels and more: scale them down before sending, for example with <code>magick in.jpg -resize 1024x1024 out.jpg</code>.</p>
</section>`;
}

function renderProblems(): string {
  const rows = Object.entries(PROBLEM_KINDS).map(([code, { status, title }]) => [
    `<code id="${code}">${code}</code>`,
    `<code>${status}</code>`,
    escape(title),
  ]);
  return `<section id="problems">
<h2>Problems</h2>
<p>The <code>code</code> of a problem is stable; its <code>detail</code> says what was got, what is expected and what to do.</p>
${renderTable(['Code', 'Status', 'Meaning'], rows)}
</section>`;
}

function renderSchemas({ components }: ShownDocument): string {
  const schemas = Object.entries(components?.schemas ?? {}).map(
    ([name, schema]) =>
      `<details id="schema-${name}"><summary><code>${name}</code></summary><pre><code>${escape(JSON.stringify(schema, undefined, 2))}</code></pre></details>`,
  );
  return `<section id="schemas">
<h2>Schemas</h2>
${schemas.join('\n')}
</section>`;
}

function linkProblem(code: string): string {
  return `<a href="#${code}"><code>${code}</code></a>`;
}

function linkSchema(reference: string): string {
  const name = reference.slice(reference.lastIndexOf('/') + 1);
  return `<a href="#schema-${name}">${name}</a>`;
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

const STYLE = `
:root { color-scheme: light dark; --line: light-dark(#d0d4da, #3a4048); --soft: light-dark(#f3f5f7, #1d2126); --edge: light-dark(#7d858f, #78818c); --link: light-dark(#0b57d0, #8ab4f8); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; overflow-wrap: break-word; background: light-dark(#fff, #14171a); color: light-dark(#1b1f24, #e4e7ea); }
a { color: var(--link); }
code, pre { font-family: ui-monospace, monospace; font-size: 0.9em; }
pre { background: var(--soft); border: 1px solid var(--line); border-radius: 6px; padding: 0.75rem; overflow-x: auto; }
nav ul { list-style: none; padding: 0; columns: 18rem; }
section { border-top: 1px solid var(--line); margin-top: 2rem; }
h2 { font-size: 1.15rem; overflow-wrap: anywhere; }
h2 small { font-weight: normal; margin-left: 0.5rem; }
.table { overflow-x: auto; margin: 0.75rem 0; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
th, td { border-bottom: 1px solid var(--line); padding: 0.35rem 0.75rem 0.35rem 0; text-align: left; vertical-align: top; }
td:last-child { min-width: 11rem; }
:target { outline: 2px solid var(--link); outline-offset: 2px; }
.samples { margin: 0.75rem 0; }
.bar { display: flex; justify-content: space-between; align-items: center; min-height: 1.9rem; font-size: 0.9rem; }
.bar fieldset { border: 0; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: 0 1.25rem; }
.bar legend { position: absolute; clip-path: inset(50%); width: 1px; height: 1px; overflow: hidden; white-space: nowrap; }
.bar label { line-height: 1.75rem; }
.samples pre { margin: 0.25rem 0; }
.samples:has(input[value=Shell]:checked) pre:not([data-language=Shell]),
.samples:has(input[value=Python]:checked) pre:not([data-language=Python]),
.samples:has(input[value=TypeScript]:checked) pre:not([data-language=TypeScript]) { display: none; }
.bar button { font: inherit; font-size: 0.85rem; min-width: 4.5rem; padding: 0.15rem 0.6rem; color: inherit; background: var(--soft); border: 1px solid var(--edge); border-radius: 6px; cursor: pointer; }
`;

/** A language that is chosen once holds for the whole page and the next visit; each example can be copied. */
const SCRIPT = `
const KEY = 'docs-language';
function choose(language) {
  for (const radio of document.querySelectorAll('.samples input')) if (radio.value === language) radio.checked = true;
}
document.addEventListener('change', ({ target }) => {
  if (!target.closest('.samples')) return;
  const before = target.getBoundingClientRect().top;
  choose(target.value);
  scrollBy(0, target.getBoundingClientRect().top - before);
  try { localStorage.setItem(KEY, target.value); } catch {}
});
try { choose(localStorage.getItem(KEY)); } catch {}
for (const samples of navigator.clipboard ? document.querySelectorAll('.samples') : []) {
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = 'Copy';
  button.addEventListener('click', async () => {
    const shown = [...samples.querySelectorAll('pre')].find((each) => each.checkVisibility());
    const copied = navigator.clipboard.writeText(shown.textContent);
    button.textContent = await copied.then(() => 'Copied', () => 'Failed');
    setTimeout(() => (button.textContent = 'Copy'), 2000);
  });
  samples.querySelector('.bar').append(button);
}
`;
