/** The content security policies of the page and of the docs, as a real browser keeps them. */
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, inject, it } from 'vitest';
import { openBrowser } from '../support/open-browser.ts';
import { describeWithChromium } from '../support/requirements.ts';
import { chooseFile, waitForPicture, waitUntilRead } from './page-bench.ts';

/** What the browser refused: the rule, and what it was used on. */
interface Violation {
  directive: string;
  blocked: string;
}

describeWithChromium('the content security policy', () => {
  let browser: Browser;
  let context: BrowserContext;

  beforeAll(async () => {
    browser = await openBrowser();
  });
  afterEach(() => context.close());
  afterAll(() => browser?.close());

  /** `violations` grows as the browser refuses. */
  async function openPage(path: string): Promise<{ page: Page; violations: Violation[] }> {
    context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    const page = await context.newPage();
    page.setDefaultTimeout(50_000);
    const violations: Violation[] = [];
    await page.exposeFunction('noteViolation', (violation: Violation) => violations.push(violation));
    await page.addInitScript(() => {
      document.addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI }) => {
        const { noteViolation } = globalThis as unknown as { noteViolation: (violation: object) => void };
        noteViolation({ directive: effectiveDirective, blocked: blockedURI });
      });
    });
    await page.goto(new URL(path, inject('shippedServerUrl')).href);
    return { page, violations };
  }

  it('lets the page do all that it does: samples, own pictures, layers, channels, a link', async () => {
    const { page, violations } = await openPage('/');
    await waitUntilRead(page);
    await page.locator('.sample').nth(3).click();
    await waitUntilRead(page);
    await chooseFile(page, 'mine.png');
    await waitForPicture(page, 'mine.png');
    expect(await page.locator('img[src^="blob:"], img[src^="data:"]').count()).toBeGreaterThan(0);
    await page.locator('.cell').nth(5).click();
    await page.reload();
    await waitUntilRead(page);
    expect(violations).toEqual([]);
  });

  it('lets the docs page have its style, and nothing else', async () => {
    const { page, violations } = await openPage('/docs');
    expect(await page.locator('h1').innerText()).toContain('API');
    expect(await page.evaluate(() => getComputedStyle(document.body).maxWidth)).toBe('960px');
    expect(violations).toEqual([]);
    await page.evaluate(() => {
      const picture = new Image();
      picture.src = '/favicon.svg';
      document.body.append(picture);
    });
    await expect.poll(() => violations).toEqual([{ directive: 'img-src', blocked: expect.stringMatching(/favicon/) }]);
  });

  it('refuses scripts in the page, foreign scripts, foreign pictures and foreign requests', async () => {
    const { page, violations } = await openPage('/');
    await waitUntilRead(page);
    await page.evaluate(async () => {
      const inline = document.createElement('script');
      inline.textContent = 'document.title = "taken over"';
      const foreign = document.createElement('script');
      foreign.src = 'https://evil.example/x.js';
      const picture = new Image();
      picture.src = 'https://evil.example/x.png';
      const handler = document.createElement('div');
      handler.innerHTML = '<img src="/favicon.svg" onload="document.title = \'taken over\'">';
      document.body.append(inline, foreign, picture, handler);
      await fetch('https://evil.example/').catch(() => undefined);
    });
    await expect
      .poll(() => violations.map(({ directive }) => directive).toSorted())
      .toEqual(['connect-src', 'img-src', 'script-src-attr', 'script-src-elem', 'script-src-elem']);
    expect(await page.title()).not.toBe('taken over');
  });

  it('keeps the page out of frames of others', async () => {
    const { page } = await openPage('/healthz');
    await page.route('**/frame.html', (route) =>
      route.fulfill({ contentType: 'text/html', body: `<iframe src="${inject('shippedServerUrl')}/"></iframe>` }),
    );
    await page.goto(new URL('/frame.html', inject('shippedServerUrl')).href);
    const [, frame] = page.frames();
    await expect.poll(() => frame?.url()).toMatch(/^chrome-error:/);
  });

  it('runs nothing of an answer of the API that a browser is made to show', async () => {
    const { page, violations } = await openPage('/activations/%3Cscript%3Ealert(1)%3C%2Fscript%3E');
    expect(await page.locator('body').innerText()).toContain('layer/unknown');
    expect(await page.locator('script').count()).toBe(0);
    expect(violations).toEqual([]);
  });
});
