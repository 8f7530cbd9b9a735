/** The description of this API, for programs (OpenAPI) and for people (a page made from it). */
import type { OpenAPIHono } from '@hono/zod-openapi';
import type { Handler } from 'hono';
import { describeCommonProblems } from '../description/common-problems.ts';
import { renderDocs } from '../description/docs-page.ts';
import { isNotModified, makeEtag } from '../http-cache.ts';
import { registerComponents } from '../description/openapi.ts';
import { sha256 } from '../sha256.ts';

const INFO = {
  title: 'resnet18-edge',
  version: '1',
  description:
    'Classifies pictures with a residual network and shows what each of its layers sees. Errors are application/problem+json with a stable code. Clients of the Open Inference Protocol (KServe, Triton) are answered below /v2 in its own words.',
};

type ApiDocument = ReturnType<OpenAPIHono['getOpenAPI31Document']>;

/** Of all routes that there are when somebody first asks: most servers are never asked, and it takes time to make. */
export function createApiDocument(app: OpenAPIHono): () => ApiDocument {
  let document: ApiDocument | undefined;
  return () => {
    if (document === undefined) {
      registerComponents(app);
      document = app.getOpenAPI31Document({ openapi: '3.1.0', info: INFO, servers: [{ url: '/' }] });
      describeCommonProblems(document);
    }
    return document;
  };
}

export function readOpenApi(readDocument: () => ApiDocument): Handler {
  // Routes do not change: the document is made once.
  let made: { text: string; etag: string } | undefined;
  return async (context) => {
    if (made === undefined) {
      const text = JSON.stringify(readDocument());
      made = { text, etag: await makeEtag([text]) };
    }
    const { text, etag } = made;
    context.header('etag', etag);
    context.header('cache-control', 'no-cache');
    if (isNotModified(context, etag)) return context.body(null, 304);
    return context.body(text, 200, { 'content-type': 'application/json' });
  };
}

export function readDocs(readDocument: () => ApiDocument): Handler {
  return async (context) => {
    const { html, style, script } = renderDocs(readDocument(), { host: new URL(context.req.url).origin });
    const [styleHash, scriptHash] = [await hash(style), await hash(script)];
    context.header(
      'content-security-policy',
      `default-src 'none'; style-src '${styleHash}'; script-src '${scriptHash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    );
    context.header('cache-control', 'no-cache');
    return context.html(html);
  };
}

/** As a policy names what is inline. */
async function hash(text: string): Promise<string> {
  return `sha256-${btoa(String.fromCharCode(...(await sha256(text))))}`;
}
