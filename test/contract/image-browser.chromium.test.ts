/** The image contract in real Chromium: shared/image/ bundled for a page, every call made in that page. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium, type Browser, type Page } from 'playwright-core';
import { build } from 'vite';
import { afterAll, expect } from 'vitest';
import { ProductError, type ErrorCode } from '../../shared/errors.ts';
import { findChromium } from '../support/chromium-path.ts';
import { describeWithChromium } from '../support/requirements.ts';
import { describeImage } from './image.ts';
import type { ImagePlatform } from './image-platform.ts';
import { packBytes, unpackBytes } from './packed-bytes.ts';

/** Browsers have `crypto.subtle` on this one without TLS. Nothing listens there: all requests are answered below. */
const ORIGIN = 'http://localhost';

interface CallResult {
  value?: unknown;
  refusal?: { code: ErrorCode; message: string; details: Record<string, unknown> };
  failure?: string;
}

declare global {
  // Made by image-page.ts.
  var callImagePlatform: (method: string, args: unknown) => Promise<CallResult>;
}

describeWithChromium('the image contract', () => {
  let browser: Browser | undefined;
  afterAll(() => browser?.close());

  describeImage('Chromium', async () => {
    // Its own: megabytes go to and fro, and the way to the shared one is longer.
    browser = await chromium.launch({ executablePath: findChromium() ?? '', args: ['--no-sandbox'] });
    return createRemotePlatform(await openPage(browser));
  });
});

async function openPage(browser: Browser): Promise<Page> {
  const files: Readonly<Record<string, { contentType: string; body: string | Buffer }>> = {
    '/': { contentType: 'text/html', body: '<!doctype html><script type="module" src="/page.js"></script>' },
    '/page.js': { contentType: 'text/javascript', body: await bundlePage() },
    '/jpeg.wasm': { contentType: 'application/wasm', body: readModule('@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm') },
    '/webp.wasm': { contentType: 'application/wasm', body: readModule('@jsquash/webp/codec/dec/webp_dec.wasm') },
  };
  const page = await browser.newPage();
  await page.route('**', (route) => {
    const { origin, pathname } = new URL(route.request().url());
    const file = origin === ORIGIN ? files[pathname] : undefined;
    return file === undefined ? route.abort() : route.fulfill(file);
  });
  await page.goto(`${ORIGIN}/`);
  await page.waitForFunction(() => typeof globalThis.callImagePlatform === 'function');
  return page;
}

async function bundlePage(): Promise<string> {
  const built = await build({
    configFile: false,
    logLevel: 'warn',
    build: {
      write: false,
      target: 'es2022',
      minify: false,
      lib: { entry: fileURLToPath(new URL('image-page.ts', import.meta.url)), formats: ['es'], fileName: 'page' },
    },
  });
  const outputs = (Array.isArray(built) ? built : [built]).flatMap((each) => ('output' in each ? each.output : []));
  const chunk = outputs.find((output) => output.type === 'chunk');
  return chunk?.code ?? expect.fail('the page was not bundled');
}

function readModule(specifier: string): Buffer {
  return readFileSync(fileURLToPath(import.meta.resolve(specifier)));
}

function createRemotePlatform(page: Page): ImagePlatform {
  const remote =
    (method: keyof ImagePlatform) =>
    async (...args: unknown[]): Promise<unknown> => {
      const request = { method, args: packBytes(args) };
      const result = await page.evaluate((call) => globalThis.callImagePlatform(call.method, call.args), request);
      if (result.refusal !== undefined) {
        const { code, message, details } = result.refusal;
        throw new ProductError(code, message, { details });
      }
      if (result.failure !== undefined) throw new Error(result.failure);
      return unpackBytes(result.value);
    };
  const methods: readonly (keyof ImagePlatform)[] = [
    'decode',
    'processAll',
    'readHeader',
    'fit',
    'decodeAndFit',
    'encodeToken',
    'decodeToken',
    'encodePng',
    'globalNames',
  ];
  return Object.fromEntries(methods.map((method) => [method, remote(method)])) as unknown as ImagePlatform;
}
