/**
 * A bench for the page: real Chromium against the real Node server and the shipped model, both shared by all files. Screenshots of the looks that
 * matter go to the temporary folder of the machine, for people to look at; no test compares them.
 */
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, inject } from 'vitest';
import { openBrowser } from '../support/open-browser.ts';
import { describeWithChromium } from '../support/requirements.ts';

export const SCREENSHOTS = join(tmpdir(), 'resnet18-edge-page');
export const SAMPLE_FOLDER = 'web/public/samples';
export const CAT = readFileSync(join(SAMPLE_FOLDER, 'cat-ginger.png'));

export interface PageBench {
  url: () => string;
  /** A page of its own context, closed after the test, when its first view is read. */
  openPage: (hash?: string, options?: BrowserContextOptions) => Promise<Page>;
  /** The same before anything is loaded, for a test that watches or changes the requests. */
  newPage: (options?: BrowserContextOptions) => Promise<Page>;
  context: () => BrowserContext;
}

/** A suite of the page: every test has a browser context of its own. */
export function describePage(title: string, body: (bench: PageBench) => void): void {
  describeWithChromium(title, () => {
    let browser: Browser;
    let current: BrowserContext | undefined;
    /** Errors in the console and requests to other servers; every test ends with none. */
    const complaints: string[] = [];

    beforeAll(async () => {
      await mkdir(SCREENSHOTS, { recursive: true });
      browser = await openBrowser();
    });

    afterAll(() => browser?.close());

    afterEach(async () => {
      await current?.close();
      current = undefined;
      const found = complaints.splice(0);
      if (found.length > 0) throw new Error(`the browser complained: ${found.join('; ')}`);
    });

    async function newPage(options: BrowserContextOptions = {}): Promise<Page> {
      current ??= await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
      const page = await current.newPage();
      // A loaded machine is no reason to fail; the test's own limit is.
      page.setDefaultTimeout(50_000);
      page.on('pageerror', (error) => complaints.push(error.message));
      page.on('console', (message) => {
        // Chromium reports every refused request, also those that the page explains to its user.
        const isRefusal = message.text().startsWith('Failed to load resource');
        if (message.type() === 'error' && !isRefusal) complaints.push(message.text());
      });
      page.on('request', (request) => {
        const { origin, protocol, hostname } = new URL(request.url());
        if (protocol.startsWith('http') && hostname !== '127.0.0.1') complaints.push(`requests ${origin}`);
      });
      return page;
    }

    body({
      url: () => inject('shippedServerUrl'),
      newPage,
      async openPage(hash = '', options = {}) {
        const page = await newPage(options);
        await page.goto(`${inject('shippedServerUrl')}/${hash}`);
        await waitUntilRead(page);
        return page;
      },
      context() {
        if (current === undefined) throw new Error('internal: no page is open');
        return current;
      },
    });
  });
}

/** Until the answer and the values of the layer are there. */
export async function waitUntilRead(page: Page): Promise<void> {
  await page.waitForFunction(() => {
    const isIdle = document.querySelectorAll('[aria-busy="true"]').length === 0;
    const isRead = document.querySelector('.cell')?.getAttribute('aria-label')?.includes(':') === true;
    return isIdle && isRead && document.querySelector('#status')?.textContent?.startsWith('Answered') === true;
  });
}

/** Until the picture of that name and its layer are shown. */
export async function waitForPicture(page: Page, name: string): Promise<void> {
  await page.waitForFunction(
    (expected) => document.querySelector('#given-caption')?.textContent?.startsWith(expected),
    name,
  );
  await waitUntilRead(page);
}

export async function waitForNotice(page: Page, text: string): Promise<void> {
  await page.waitForFunction((expected) => document.querySelector('#notice')?.textContent?.includes(expected), text);
}

export async function chooseFile(page: Page, name: string, buffer = CAT): Promise<void> {
  await page.locator('#file').setInputFiles({ name, mimeType: 'image/png', buffer });
}

/** What stands under the picture, with plain spaces. */
export async function readCaption(page: Page): Promise<string> {
  return (await page.locator('#given-caption').innerText()).replaceAll('\u00a0', ' ');
}

export interface View {
  verdict: string;
  bars: string[];
  layer: string;
  channel: string;
  largest: string;
  channels: number;
}

export async function readView(page: Page): Promise<View> {
  return {
    verdict: await page.locator('#verdict').innerText(),
    bars: await page.locator('.bar').allInnerTexts(),
    layer: await page.locator('#layer-title').innerText(),
    channel: await page.locator('#channel-title').innerText(),
    largest: await page.locator('#channel-max').innerText(),
    channels: await page.locator('.cell').count(),
  };
}

interface DroppedFile {
  name: string;
  type: string;
  bytes: Buffer;
}

/** Drags files over the page and, unless they should stay in the air, drops them. */
export function drop(page: Page, files: readonly DroppedFile[], { isReleased = true } = {}): Promise<void> {
  const portable = files.map(({ name, type, bytes }) => ({ name, type, base64: bytes.toString('base64') }));
  return page.evaluate(
    ({ dropped, events }) => {
      const dataTransfer = new DataTransfer();
      for (const { name, type, base64 } of dropped) {
        const content = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
        dataTransfer.items.add(new File([content], name, { type }));
      }
      // Far from the button: the whole page takes it.
      const place = document.querySelector('footer');
      for (const type of events) {
        place?.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
      }
    },
    { dropped: portable, events: ['dragenter', 'dragover', ...(isReleased ? ['drop'] : [])] },
  );
}

/** Drags a file of this machine over the page and drops it, as the browser itself sees it. */
export async function dropAsHand(page: Page, path: string): Promise<void> {
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files: [path], dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const) {
    await session.send('Input.dispatchDragEvent', { type, x: 300, y: 300, data });
  }
  await session.detach();
}
